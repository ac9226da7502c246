-- Players whose name was taken out, so that who holds the archive against a log that still names
-- them can tell, and so that doing it again uses the same pseudonym.

CREATE TABLE leaderboard.erasure_salt (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    salt bytea NOT NULL
);

COMMENT ON TABLE leaderboard.erasure_salt IS
    'What digests of erased names are salted with: one row, made when the first player is erased. Without it nobody '
    'can try out who was erased; delete it with all of erased_player when no log and no dead letter names them any more.';
COMMENT ON COLUMN leaderboard.erasure_salt.only_one IS 'Always true: there is one salt.';
COMMENT ON COLUMN leaderboard.erasure_salt.salt IS 'Random bytes.';

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
