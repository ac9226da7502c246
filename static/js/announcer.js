/**
 * What a screen reader is told: changes among the top three, and not too often. Pure.
 */

export const ANNOUNCE_EVERY_MS = 10_000;
const PLACES = ['leads', 'is second', 'is third'];

/**
 * @returns {(rows: import('./snapshot.js').Row[], nowMs: number) => string | null} called with the rows on the screen,
 *   as often as one likes; answers a sentence when there is something to say
 */
export function createAnnouncer() {
  let told = null;
  let toldAtMs = -Infinity;

  return (rows, nowMs) => {
    const topThree = rows.slice(0, PLACES.length);
    const order = JSON.stringify(topThree.map((row) => row.key));
    if (told === null) {
      if (topThree.length > 0) told = order;
      return null;
    }
    if (order === told || nowMs - toldAtMs < ANNOUNCE_EVERY_MS) return null;
    told = order;
    toldAtMs = nowMs;
    return topThree.map((row, index) => `${row.name} ${PLACES[index]}`).join(', ') || null;
  };
}
