/**
 * Numbers and spans of time as people read them. Pure, apart from the reader's locale.
 */

const MOST_DECIMALS = 6;
/** From here on digits would be invented (a double holds 15) and would push the names off the screen. */
const LONGEST_PLAIN = 1e15;

/**
 * @param {number[]} scores
 * @returns {number} the decimals that show all of them exactly, so that their points stand in one line
 */
export function decimalsOf(scores) {
  const decimals = scores.map((score) => String(score).split('.')[1]?.length ?? 0);
  return Math.min(MOST_DECIMALS, Math.max(0, ...decimals));
}

/**
 * @param {number} decimals
 * @param {string} [locale]
 * @returns {(score: number) => string}
 */
export function scoreFormat(decimals, locale) {
  const plain = new Intl.NumberFormat(locale, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  const scientific = new Intl.NumberFormat(locale, { notation: 'scientific', maximumFractionDigits: 3 });
  return (score) => (Math.abs(score) < LONGEST_PLAIN ? plain : scientific).format(score);
}

/**
 * @param {number[]} scores
 * @returns {number[]} each score's share of the largest in [0, 1]; with negative scores, counted from the smallest
 */
export function sharesOf(scores) {
  const floor = Math.min(0, ...scores);
  const span = Math.max(0, ...scores) - floor;
  return scores.map((score) => (span > 0 ? (score - floor) / span : 0));
}

/**
 * @param {number} ms
 * @returns {string} in the largest fitting unit, rounded down: "3 s", "12 min", "5 h", "2 d"
 */
export function spanText(ms) {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/**
 * @param {number} ms
 * @returns {string} "42 ms" or "2.4 s"
 */
export function latencyText(ms) {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
