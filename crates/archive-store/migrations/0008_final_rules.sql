-- Kept standings say by which rules they came about, so that whoever checks them knows what they must be.

ALTER TABLE leaderboard.final_window ADD COLUMN rules text;

COMMENT ON COLUMN leaderboard.final_window.rules IS
    'The rules of the board by which events counted; null where they were kept before this was written down.';
