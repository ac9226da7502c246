-- Kept standings say how they are to be read: a board's rules may change after them.

ALTER TABLE leaderboard.final_window ADD COLUMN lowest_first boolean NOT NULL DEFAULT false;

-- A board that has the lowest first stores minus the total, so those that were kept before tell by themselves.
UPDATE leaderboard.final_window AS final SET lowest_first = true
WHERE EXISTS (
    SELECT FROM leaderboard.final_standing AS standing
    WHERE (standing.board, standing.window_id) = (final.board, final.window_id)
        AND standing.score <> 0 AND sign(floor(standing.sorted_set_score)) <> sign(standing.score)
);

ALTER TABLE leaderboard.final_window ALTER COLUMN lowest_first DROP DEFAULT;

COMMENT ON COLUMN leaderboard.final_window.lowest_first IS 'Whether the lowest total is the best; sorted_set_score has minus the total then.';
COMMENT ON COLUMN leaderboard.final_window.decimals IS
    'How many decimals the board''s scores had; sorted_set_score counts units of the last one.';
