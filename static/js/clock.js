/**
 * Elapsed time on the wall clock, which unlike the monotonic one goes on through a laptop's sleep.
 */

/**
 * @param {number} nowMs
 * @param {number | null} thenMs null when it never happened
 * @returns {number} milliseconds since then; Infinity when it never happened or when the clock was set back
 *   behind it, since then nothing is known and the caller should ask again
 */
export function elapsedMs(nowMs, thenMs) {
  return thenMs === null || thenMs > nowMs ? Infinity : nowMs - thenMs;
}
