-- Players whose name was taken out, so that who holds the archive against a log that still names
-- them can tell, and so that doing it again uses the same pseudonym.

CREATE TABLE leaderboard.erasure_salt (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    salt bytea NOT NULL
);

COMMENT ON TABLE leaderboard.erasure_salt IS
    'What digests of erased names are salted with, one row. Without it nobody can try out which ids were erased: '
    'delete it, and everything in erased_player, once no log, dead letter or backup names those players any more.';
COMMENT ON COLUMN leaderboard.erasure_salt.only_one IS 'Always true: there is one salt.';
COMMENT ON COLUMN leaderboard.erasure_salt.salt IS 'Random bytes, made once.';

INSERT INTO leaderboard.erasure_salt (salt)
VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

CREATE TABLE leaderboard.erased_player (
    pseudonym text PRIMARY KEY,
    id_digest bytea NOT NULL UNIQUE,
    erased_at timestamptz NOT NULL
);

COMMENT ON TABLE leaderboard.erased_player IS
    'Players whose rows stand under a pseudonym: boardctl erase-player.';
COMMENT ON COLUMN leaderboard.erased_player.pseudonym IS 'The user_id that the player''s rows have now.';
COMMENT ON COLUMN leaderboard.erased_player.id_digest IS 'SHA-256 of the salt and the user_id that they had.';
COMMENT ON COLUMN leaderboard.erased_player.erased_at IS 'When that was done last.';
