/**
 * Boards and windows as people call them. Pure.
 */

const WINDOWS = { all: 'all time', hour: 'this hour', day: 'today', week: 'this week', month: 'this month' };

/**
 * @param {string} board "game-score"
 * @returns {string} "Game score"
 */
export function boardTitle(board) {
  const words = board.replace(/[-_]+/g, ' ').trim() || board;
  return words[0].toUpperCase() + words.slice(1);
}

/**
 * @param {string} window "all", "day", or the name of a season
 * @returns {string}
 */
export function windowTitle(window) {
  return WINDOWS[window] ?? window;
}
