/**
 * The last good frame, kept for this tab so that a reload paints at once.
 */

const KEY = 'rankstream.frame';

/** @param {string} frame the text as it was received */
export function remember(frame) {
  try {
    sessionStorage.setItem(KEY, frame);
  } catch {
    // Storage may be full or forbidden: the page then starts with an empty table, nothing worse.
  }
}

/** @returns {string | null} */
export function recall() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
