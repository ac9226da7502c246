-- What people read.

CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'The archive for people: views only, read by role rankstream_analyst.';

-- Two halves, so that events without an id, most of them, need no sorting.
CREATE VIEW analytics.scores AS
SELECT user_id, score, created_at, arrived_at, event_id, nickname, tags, extra, kafka_partition, kafka_offset
FROM leaderboard.game_score
WHERE event_id IS NULL
UNION ALL
SELECT user_id, score, created_at, arrived_at, event_id, nickname, tags, extra, kafka_partition, kafka_offset
FROM (
    SELECT *, arrived_on - lag(arrived_on) OVER (
        PARTITION BY user_id, event_id ORDER BY arrived_at, kafka_partition, kafka_offset
    ) AS days_since_same
    FROM leaderboard.game_score
    WHERE event_id IS NOT NULL
) AS identified
WHERE days_since_same IS NULL OR days_since_same > 1;

COMMENT ON VIEW analytics.scores IS
    'The events that count. An event with an event_id counts once: it is left out when the one before it with the '
    'same player and id arrived on the same or the previous UTC day, as on the board.';
COMMENT ON COLUMN analytics.scores.user_id IS 'Who scored.';
COMMENT ON COLUMN analytics.scores.score IS 'How much, exactly.';
COMMENT ON COLUMN analytics.scores.created_at IS 'When the score was earned.';
COMMENT ON COLUMN analytics.scores.arrived_at IS 'When Kafka took the record in.';
COMMENT ON COLUMN analytics.scores.event_id IS 'The producer''s own id of the event, if it gave one.';
COMMENT ON COLUMN analytics.scores.nickname IS 'What the player wants to be called from this event on, if it says.';
COMMENT ON COLUMN analytics.scores.tags IS 'The event''s tags, if it has any.';
COMMENT ON COLUMN analytics.scores.extra IS 'Members that this version does not know, as they were written.';
COMMENT ON COLUMN analytics.scores.kafka_partition IS 'Partition of the record.';
COMMENT ON COLUMN analytics.scores.kafka_offset IS 'Offset of the record within its partition.';

-- Byte order, as in Redis, whatever the database's collation.
CREATE VIEW analytics.standings AS
SELECT
    row_number() OVER (
        ORDER BY total.score DESC, total.reached_at ASC NULLS FIRST, total.user_id COLLATE "C" DESC
    ) AS rank,
    total.user_id,
    coalesce(named.nickname, 'user-' || total.user_id) AS nickname,
    total.score,
    total.reached_at,
    total.events
FROM (
    SELECT user_id, sum(score) AS score, max(created_at) FILTER (WHERE score <> 0) AS reached_at, count(*) AS events
    FROM analytics.scores
    GROUP BY user_id
) AS total
LEFT JOIN (
    SELECT DISTINCT ON (user_id) user_id, nickname
    FROM leaderboard.game_score
    WHERE nickname IS NOT NULL
    ORDER BY user_id, created_at DESC, arrived_at DESC, kafka_partition DESC, kafka_offset DESC
) AS named USING (user_id);

COMMENT ON VIEW analytics.standings IS
    'Where every player stands now: scores added up, the highest first; of equal scores, whoever reached it first. '
    'Times count to the microsecond here and to 1/8 s or coarser on the board, so players who reached a score '
    'within that time of each other may stand the other way round there.';
COMMENT ON COLUMN analytics.standings.rank IS 'The place, from 1, without gaps.';
COMMENT ON COLUMN analytics.standings.user_id IS 'The player.';
COMMENT ON COLUMN analytics.standings.nickname IS 'The newest nickname by event time, or user-<id>.';
COMMENT ON COLUMN analytics.standings.score IS 'All scores added up, exactly.';
COMMENT ON COLUMN analytics.standings.reached_at IS
    'When the last event happened that changed the score; null when all were worth nothing, which stands first among equals.';
COMMENT ON COLUMN analytics.standings.events IS 'How many events counted.';

CREATE VIEW analytics.player_history AS
SELECT
    user_id,
    created_at,
    score,
    sum(score) OVER (
        PARTITION BY user_id ORDER BY created_at, arrived_at, kafka_partition, kafka_offset
    ) AS total,
    arrived_at,
    event_id
FROM analytics.scores;

COMMENT ON VIEW analytics.player_history IS
    'Every counted event with the player''s total after it, by event time. Filter by user_id.';
COMMENT ON COLUMN analytics.player_history.user_id IS 'The player.';
COMMENT ON COLUMN analytics.player_history.created_at IS 'When the score was earned.';
COMMENT ON COLUMN analytics.player_history.score IS 'How much.';
COMMENT ON COLUMN analytics.player_history.total IS 'The player''s total after this event.';
COMMENT ON COLUMN analytics.player_history.arrived_at IS 'When Kafka took the record in.';
COMMENT ON COLUMN analytics.player_history.event_id IS 'The producer''s own id of the event, if it gave one.';

CREATE VIEW analytics.daily_active_players AS
SELECT
    (created_at AT TIME ZONE 'UTC')::date AS day,
    count(DISTINCT user_id) AS players,
    count(*) AS events,
    sum(score) AS score
FROM analytics.scores
GROUP BY 1;

COMMENT ON VIEW analytics.daily_active_players IS 'How many players scored on each day, by event time.';
COMMENT ON COLUMN analytics.daily_active_players.day IS 'The UTC day.';
COMMENT ON COLUMN analytics.daily_active_players.players IS 'How many players have an event on it.';
COMMENT ON COLUMN analytics.daily_active_players.events IS 'How many events counted.';
COMMENT ON COLUMN analytics.daily_active_players.score IS 'Their scores added up.';

CREATE VIEW analytics.game_score_redis AS
SELECT
    kafka_offset * 4096 + kafka_partition AS game_score_id,
    user_id,
    score,
    created_at AT TIME ZONE 'UTC' AS created_at
FROM analytics.scores;

COMMENT ON VIEW analytics.game_score_redis IS 'The counted events under the names of the plain form, for queries written for it.';
COMMENT ON COLUMN analytics.game_score_redis.game_score_id IS 'Unique: offset * 4096 + partition. Grows within a partition.';
COMMENT ON COLUMN analytics.game_score_redis.user_id IS 'The player.';
COMMENT ON COLUMN analytics.game_score_redis.score IS 'How much.';
COMMENT ON COLUMN analytics.game_score_redis.created_at IS 'When the score was earned, in UTC, without time zone.';

CREATE VIEW analytics.refused_records AS
SELECT
    arrived_at, class, field, message, encode(payload, 'escape') AS payload_text, payload, record_key,
    kafka_partition, kafka_offset
FROM leaderboard.refused_record;

COMMENT ON VIEW analytics.refused_records IS 'The records that are not score events, and why.';
COMMENT ON COLUMN analytics.refused_records.arrived_at IS 'When Kafka took the record in.';
COMMENT ON COLUMN analytics.refused_records.class IS 'Kind of fault, e.g. not_json, missing_field, out_of_range.';
COMMENT ON COLUMN analytics.refused_records.field IS 'The member at fault; null when it is the record as a whole.';
COMMENT ON COLUMN analytics.refused_records.message IS 'A sentence that says what is wrong.';
COMMENT ON COLUMN analytics.refused_records.payload_text IS 'The value as text; bytes beyond ASCII as \nnn.';
COMMENT ON COLUMN analytics.refused_records.payload IS 'The value, untouched; null for a tombstone.';
COMMENT ON COLUMN analytics.refused_records.record_key IS 'The key, untouched; null when the record has none.';
COMMENT ON COLUMN analytics.refused_records.kafka_partition IS 'Partition of the record.';
COMMENT ON COLUMN analytics.refused_records.kafka_offset IS 'Offset of the record within its partition.';

-- A role belongs to the whole server: another database's migration may be making it right now.
DO $$
BEGIN
    BEGIN
        CREATE ROLE rankstream_analyst NOLOGIN;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN
            NULL;
        WHEN insufficient_privilege THEN
            RAISE WARNING 'role rankstream_analyst is not made: %; make it and grant it SELECT on schema analytics', SQLERRM;
    END;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rankstream_analyst') THEN
        GRANT USAGE ON SCHEMA analytics TO rankstream_analyst;
        GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO rankstream_analyst;
        ALTER DEFAULT PRIVILEGES IN SCHEMA analytics GRANT SELECT ON TABLES TO rankstream_analyst;
    END IF;
END
$$;

-- So that the views are found by their bare names, in sessions that begin from now on.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = "$user", public, analytics', current_database());
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE WARNING 'search_path of the database is not set: %; write analytics.game_score_redis in full', SQLERRM;
END
$$;
