-- Windows that are over: their standings leave Redis and stay here.

CREATE TABLE leaderboard.final_window (
    board text NOT NULL,
    window_id text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    version bigint NOT NULL,
    players bigint NOT NULL,
    decimals integer NOT NULL,
    kept_at timestamptz NOT NULL,
    PRIMARY KEY (board, window_id)
);

COMMENT ON TABLE leaderboard.final_window IS
    'Windows of boards that nothing changes any more, whose standings were kept.';
COMMENT ON COLUMN leaderboard.final_window.board IS 'The board as the API calls it: name, or name:value.';
COMMENT ON COLUMN leaderboard.final_window.window_id IS 'The window: a date, a week, an hour, a month, or a season''s name.';
COMMENT ON COLUMN leaderboard.final_window.starts_at IS 'Its first instant.';
COMMENT ON COLUMN leaderboard.final_window.ends_at IS 'The first instant after it.';
COMMENT ON COLUMN leaderboard.final_window.epoch IS 'The board''s epoch when they were kept.';
COMMENT ON COLUMN leaderboard.final_window.version IS 'The board''s version when they were kept.';
COMMENT ON COLUMN leaderboard.final_window.players IS 'How many players there are: as many rows has final_standing.';
COMMENT ON COLUMN leaderboard.final_window.decimals IS 'How many decimals the board''s scores have.';
COMMENT ON COLUMN leaderboard.final_window.kept_at IS 'When they were kept.';

CREATE TABLE leaderboard.final_standing (
    board text NOT NULL,
    window_id text NOT NULL,
    place bigint NOT NULL,
    sorted_set_score double precision NOT NULL,
    user_id text NOT NULL,
    score numeric NOT NULL,
    PRIMARY KEY (board, window_id, place),
    FOREIGN KEY (board, window_id) REFERENCES leaderboard.final_window ON DELETE CASCADE
);

-- Whoever erases a player looks for the name.
CREATE INDEX final_standing_user_id ON leaderboard.final_standing (user_id);

COMMENT ON TABLE leaderboard.final_standing IS 'Who stood where when a window was over.';
COMMENT ON COLUMN leaderboard.final_standing.board IS 'The board as the API calls it.';
COMMENT ON COLUMN leaderboard.final_standing.window_id IS 'The window.';
COMMENT ON COLUMN leaderboard.final_standing.place IS 'The place, from 1, ties broken as the board does.';
COMMENT ON COLUMN leaderboard.final_standing.sorted_set_score IS
    'The double under which the player stood in Redis: the total and when it was reached.';
COMMENT ON COLUMN leaderboard.final_standing.user_id IS 'The player.';
COMMENT ON COLUMN leaderboard.final_standing.score IS 'The total.';

CREATE VIEW analytics.final_standings AS
SELECT standing.board, standing.window_id, final.starts_at, final.ends_at, standing.place, standing.user_id, standing.score
FROM leaderboard.final_standing AS standing JOIN leaderboard.final_window AS final USING (board, window_id);

COMMENT ON VIEW analytics.final_standings IS
    'Who stood where when a window was over, as the API answers for it. Filter by board and window_id.';
COMMENT ON COLUMN analytics.final_standings.board IS 'The board as the API calls it: name, or name:value.';
COMMENT ON COLUMN analytics.final_standings.window_id IS 'The window: a date, a week, an hour, a month, or a season''s name.';
COMMENT ON COLUMN analytics.final_standings.starts_at IS 'The window''s first instant.';
COMMENT ON COLUMN analytics.final_standings.ends_at IS 'The first instant after it.';
COMMENT ON COLUMN analytics.final_standings.place IS 'The place, from 1, ties broken as the board does.';
COMMENT ON COLUMN analytics.final_standings.user_id IS 'The player.';
COMMENT ON COLUMN analytics.final_standings.score IS 'The total.';
