/**
 * Who climbed and who fell since the page was opened (or since the board's epoch began). Pure.
 */

/** A newcomer is called new for this long, then compared with the rank of entry. */
export const NEW_FOR_MS = 60_000;
/** Players who come and go are remembered up to here; the one unseen for longest is forgotten first. */
export const REMEMBERED_PLAYERS = 1_000;

/**
 * @typedef {{kind: 'same' | 'new' | 'up' | 'down', places: number}} Move
 *
 * @returns {{restart: () => void, see: (rows: import('./snapshot.js').Row[], nowMs: number) => Move[]}}
 *   `see` answers one move per row
 */
export function createMovement() {
  const first = new Map();
  let started = false;

  function moveOf(row, nowMs) {
    const seen = first.get(row.key) ?? { rank: row.rank, newUntilMs: started ? nowMs + NEW_FOR_MS : null };
    first.delete(row.key);
    first.set(row.key, seen);
    if (seen.newUntilMs !== null && nowMs < seen.newUntilMs) return { kind: 'new', places: 0 };
    const places = seen.rank - row.rank;
    return { kind: places > 0 ? 'up' : places < 0 ? 'down' : 'same', places: Math.abs(places) };
  }

  return {
    restart() {
      first.clear();
      started = false;
    },
    see(rows, nowMs) {
      const moves = rows.map((row) => moveOf(row, nowMs));
      started = true;
      for (const key of first.keys()) {
        if (first.size <= REMEMBERED_PLAYERS) break;
        first.delete(key);
      }
      return moves;
    },
  };
}
