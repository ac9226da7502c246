-- Of equal totals whoever reached it first, to the same step as the board's, or the greater player id alone.

DROP FUNCTION analytics.standings_of(text, boolean, jsonb, timestamptz, timestamptz, interval);

-- With the rights of its owner, since analysts read no table; it takes no text that it runs.
CREATE FUNCTION analytics.standings_of(
    aggregate text DEFAULT 'sum',
    lowest_first boolean DEFAULT false,
    tags jsonb DEFAULT '{}',
    starts_at timestamptz DEFAULT '-infinity',
    ends_at timestamptz DEFAULT 'infinity',
    lateness interval DEFAULT NULL,
    tie_break text DEFAULT 'first',
    decimals integer DEFAULT 0
) RETURNS TABLE (
    rank bigint,
    competition_rank bigint,
    dense_rank bigint,
    user_id text,
    score numeric,
    reached_at timestamptz,
    events bigint
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    WITH matched AS (
        SELECT *
        FROM leaderboard.game_score AS event
        WHERE standings_of.tags = '{}' OR event.tags @> standings_of.tags
    ), counted AS (
        SELECT * FROM matched WHERE event_id IS NULL
        UNION ALL
        SELECT matched.*
        FROM matched JOIN (
            SELECT arrived_on, kafka_partition, kafka_offset, arrived_on - lag(arrived_on) OVER (
                PARTITION BY user_id, event_id ORDER BY arrived_at, kafka_partition, kafka_offset
            ) AS days_since_same
            FROM matched
            WHERE event_id IS NOT NULL
        ) AS identified USING (arrived_on, kafka_partition, kafka_offset)
        WHERE days_since_same IS NULL OR days_since_same > 1
    ), total AS (
        SELECT
            user_id,
            CASE standings_of.aggregate
                WHEN 'sum' THEN sum(score)
                WHEN 'count' THEN count(*)
                WHEN 'best' THEN CASE WHEN standings_of.lowest_first THEN min(score) ELSE max(score) END
                WHEN 'last' THEN
                    (array_agg(score ORDER BY created_at DESC, kafka_offset DESC, kafka_partition DESC))[1]
            END AS score,
            CASE standings_of.aggregate
                WHEN 'sum' THEN max(created_at) FILTER (WHERE score <> 0)
                WHEN 'best' THEN (array_agg(
                    created_at ORDER BY CASE WHEN standings_of.lowest_first THEN score ELSE -score END, created_at
                ))[1]
                ELSE max(created_at)
            END AS reached_at,
            count(*) AS events
        FROM counted
        WHERE created_at >= standings_of.starts_at AND created_at < standings_of.ends_at
            AND (standings_of.lateness IS NULL OR arrived_at < standings_of.ends_at + standings_of.lateness)
        GROUP BY user_id
    ), placed AS (
        SELECT
            *,
            CASE WHEN standings_of.lowest_first THEN score ELSE -score END AS worse,
            CASE WHEN standings_of.tie_break = 'first' AND reached_at IS NOT NULL THEN
                -- Eighths of a second since 1850, and twice as coarse with each binary digit of the total beyond 17.
                least(greatest(floor((extract(epoch FROM reached_at) + 3786825600) * 8), 0), 68719476735)::bigint
                >> greatest(length(ltrim(
                    round(abs(score) * 10::numeric ^ standings_of.decimals)::bigint::bit(64)::text, '0')) - 17, 0)
            ELSE 0 END AS step
        FROM total
    )
    SELECT
        row_number() OVER (ORDER BY worse, step, user_id COLLATE "C" DESC),
        rank() OVER (ORDER BY worse),
        dense_rank() OVER (ORDER BY worse),
        user_id, score, reached_at, events
    FROM placed
    ORDER BY 1
$$;

COMMENT ON FUNCTION analytics.standings_of(
    text, boolean, jsonb, timestamptz, timestamptz, interval, text, integer
) IS
    'The standings of any board in any window, from the events. aggregate: sum, count, best or last; lowest_first: as '
    'order = "asc"; tags: what events must carry; starts_at, ends_at: the window by event time, from starts_at to before '
    'ends_at; lateness: how long after ends_at events may arrive, null for ever. As on a board that has all time, an '
    'event_id counts once however many windows there are. tie_break: first or player_id, as boards.toml has it; decimals: '
    'of the board, by which the times of large totals are told apart. Limits of scores and totals are not asked.';
