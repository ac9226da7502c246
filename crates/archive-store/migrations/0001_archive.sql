-- What the archiver writes. The schema itself and the table of migrations are there already.

COMMENT ON SCHEMA leaderboard IS
    'Every record of the score topic, and how far it was read. People read schema analytics.';

COMMENT ON TABLE leaderboard.migration IS 'Which migrations were applied.';
COMMENT ON COLUMN leaderboard.migration.version IS 'Number of the migration.';
COMMENT ON COLUMN leaderboard.migration.description IS 'Name of the migration.';
COMMENT ON COLUMN leaderboard.migration.installed_on IS 'When it was applied.';
COMMENT ON COLUMN leaderboard.migration.success IS 'Whether it went through.';
COMMENT ON COLUMN leaderboard.migration.checksum IS 'SHA-384 of its text.';
COMMENT ON COLUMN leaderboard.migration.execution_time IS 'How long it took, in nanoseconds.';

-- The widths come in an order that needs no padding. The primary key is the only b-tree: each
-- further one is paid for by every row that ever comes in (docs of crate archive-store).
CREATE TABLE leaderboard.game_score (
    arrived_on date NOT NULL,
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    arrived_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    user_id text NOT NULL,
    score numeric NOT NULL,
    event_id text,
    nickname text,
    tags jsonb,
    extra json,
    PRIMARY KEY (arrived_on, kafka_partition, kafka_offset)
) PARTITION BY RANGE (arrived_on);

CREATE INDEX game_score_created_at ON leaderboard.game_score USING brin (created_at) WITH (autosummarize = on);

COMMENT ON TABLE leaderboard.game_score IS
    'One row for each score event in the log, as it came, duplicates included. A partition a day of arrival.';
COMMENT ON COLUMN leaderboard.game_score.arrived_on IS 'UTC day of arrived_at.';
COMMENT ON COLUMN leaderboard.game_score.kafka_partition IS 'Partition of the record.';
COMMENT ON COLUMN leaderboard.game_score.kafka_offset IS 'Offset of the record within its partition.';
COMMENT ON COLUMN leaderboard.game_score.arrived_at IS 'When Kafka took the record in, to the millisecond.';
COMMENT ON COLUMN leaderboard.game_score.created_at IS 'When the score was earned, as the event says; years 1 to 9999.';
COMMENT ON COLUMN leaderboard.game_score.user_id IS 'Who scored. Numbers are kept as text: 42 and "42" are one player.';
COMMENT ON COLUMN leaderboard.game_score.score IS 'How much, exactly as it was written.';
COMMENT ON COLUMN leaderboard.game_score.event_id IS 'The producer''s own id of the event, by which resubmissions are told; null when it gave none.';
COMMENT ON COLUMN leaderboard.game_score.nickname IS 'What the player wants to be called from this event on; null when the event does not say.';
COMMENT ON COLUMN leaderboard.game_score.tags IS 'The event''s tags, an object of strings; null when it has none.';
COMMENT ON COLUMN leaderboard.game_score.extra IS
    'Members of the event that this version does not know, as they were written; null when there are none. '
    'Of type json, since jsonb refuses numbers that JSON allows.';

CREATE TABLE leaderboard.refused_record (
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    arrived_at timestamptz NOT NULL,
    class text NOT NULL,
    field text,
    message text NOT NULL,
    record_key bytea,
    payload bytea,
    PRIMARY KEY (kafka_partition, kafka_offset)
);

COMMENT ON TABLE leaderboard.refused_record IS
    'One row for each record of the log that is not a score event. Together with game_score: every offset once.';
COMMENT ON COLUMN leaderboard.refused_record.kafka_partition IS 'Partition of the record.';
COMMENT ON COLUMN leaderboard.refused_record.kafka_offset IS 'Offset of the record within its partition.';
COMMENT ON COLUMN leaderboard.refused_record.arrived_at IS 'When Kafka took the record in, to the millisecond.';
COMMENT ON COLUMN leaderboard.refused_record.class IS 'Kind of fault, e.g. not_json, missing_field, out_of_range.';
COMMENT ON COLUMN leaderboard.refused_record.field IS 'The member at fault; null when it is the record as a whole.';
COMMENT ON COLUMN leaderboard.refused_record.message IS 'A sentence that says what is wrong.';
COMMENT ON COLUMN leaderboard.refused_record.record_key IS 'The record''s key, untouched; null when it has none.';
COMMENT ON COLUMN leaderboard.refused_record.payload IS 'The record''s value, untouched; null for a tombstone.';

CREATE TABLE leaderboard.consumer_offset (
    topic text NOT NULL,
    kafka_partition integer NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, kafka_partition)
) WITH (fillfactor = 50);

COMMENT ON TABLE leaderboard.consumer_offset IS
    'How far the log was read. Changed only in the transaction that writes the rows, and only from the value '
    'that the writer expects: this is the fence. Never edit it by hand.';
COMMENT ON COLUMN leaderboard.consumer_offset.topic IS 'The topic, with the deployment''s prefix.';
COMMENT ON COLUMN leaderboard.consumer_offset.kafka_partition IS 'The partition.';
COMMENT ON COLUMN leaderboard.consumer_offset.first_offset IS 'Where the archive began to read.';
COMMENT ON COLUMN leaderboard.consumer_offset.next_offset IS 'The first offset that is not in the archive.';

-- CREATE TABLE … PARTITION OF would wait for every query that reads the table, and everybody else
-- for it. ATTACH waits for no reader and no writer.
CREATE FUNCTION leaderboard.ensure_day(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    partition_name text := 'game_score_' || to_char(day, 'YYYYMMDD');
BEGIN
    FOR attempt IN 1..2 LOOP
        IF EXISTS (
            -- Not to_regclass: its cache need not know yet what another has just made.
            SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'leaderboard.game_score'::regclass AND relname = partition_name
        ) THEN
            RETURN;
        END IF;
        -- Looked at once more with the lock held: another may have made it meanwhile.
        PERFORM pg_advisory_xact_lock(hashtextextended('leaderboard.ensure_day', 0));
    END LOOP;
    EXECUTE format('CREATE TABLE leaderboard.%I (LIKE leaderboard.game_score INCLUDING ALL)', partition_name);
    EXECUTE format(
        'ALTER TABLE leaderboard.game_score ATTACH PARTITION leaderboard.%I FOR VALUES FROM (%L) TO (%L)',
        partition_name, day, day + 1
    );
    EXECUTE format(
        'COMMENT ON TABLE leaderboard.%I IS %L', partition_name, 'The events that arrived on ' || day || ' (UTC).'
    );
END
$$;

COMMENT ON FUNCTION leaderboard.ensure_day(date) IS
    'Makes the partition for the events that arrive on that UTC day, unless it is there.';
