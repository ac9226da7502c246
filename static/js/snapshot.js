/**
 * What a text frame means: parsing, validation and order. Pure.
 *
 * Only `user_list` and `current_time_ms` are required (the plain form). A frame that breaks a rule is refused
 * whole; the page then keeps what it shows.
 */

/**
 * @typedef {{key: string, rank: number, score: number, name: string}} Row
 * @typedef {{inKafkaMs: number | null, publishedMs: number | null}} Stages
 * @typedef {{rows: Row[], timeMs: number, board: string | null, window: string | null, players: number | null,
 *   epoch: number | null, version: number | null, rebuilding: boolean, stages: Stages, text: string}} Snapshot
 *   `text` is the frame itself
 */

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
const numberOrNull = (value) => (isNumber(value) ? value : null);
const textOrNull = (value) => (typeof value === 'string' && value !== '' ? value : null);

/**
 * @param {unknown} text one websocket text frame
 * @returns {Snapshot | null} null for anything that is not a snapshot
 */
export function parseSnapshot(text) {
  const frame = parseObject(text);
  if (!frame || !Array.isArray(frame.user_list) || !isNumber(frame.current_time_ms)) return null;

  const rows = parseRows(frame.user_list);
  if (!rows) return null;

  const stages = frame.stages ?? {};
  return {
    rows,
    timeMs: frame.current_time_ms,
    board: textOrNull(frame.board),
    window: textOrNull(frame.window),
    players: numberOrNull(frame.players),
    epoch: numberOrNull(frame.epoch),
    version: numberOrNull(frame.version),
    rebuilding: frame.rebuilding === true,
    stages: { inKafkaMs: numberOrNull(stages.in_kafka_ms), publishedMs: numberOrNull(stages.published_ms) },
    text,
  };
}

function parseObject(text) {
  if (typeof text !== 'string') return null;
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

function parseRows(userList) {
  const rows = [];
  const keys = new Set();
  for (const user of userList) {
    if (!user || !isNumber(user.rank) || !isNumber(user.score) || typeof user.nickname !== 'string') return null;
    const id = isNumber(user.user_id) ? String(user.user_id) : textOrNull(user.user_id);
    const name = user.nickname.trim() || (id === null ? '(no name)' : `user-${id}`);
    // Without ids two players may share a name: the later one gets a key of its own.
    let key = id === null ? `name:${user.nickname}` : `id:${id}`;
    while (keys.has(key)) key += '+';
    keys.add(key);
    rows.push({ key, rank: user.rank, score: user.score, name });
  }
  return rows;
}

/** How long older frames are refused before they are believed: by then the whole system was reset. */
export const RESET_AFTER_MS = 30_000;

/**
 * Decides which snapshots may be shown: `(epoch, version)` only grows. A snapshot from before is held, and let
 * through only when nothing newer came for RESET_AFTER_MS, so that a page left open survives a wiped system.
 *
 * @returns {{admit: (snapshot: Snapshot, nowMs: number) => 'next' | 'restart' | 'older',
 *   overdue: (nowMs: number) => Snapshot | null}}
 *   `restart` means: show it, and forget the movements so far
 */
export function createOrder() {
  let shown = null;
  let held = null;
  let heldSinceMs = 0;

  return {
    admit(snapshot, nowMs) {
      if (shown && isOlder(snapshot, shown)) {
        if (!held) heldSinceMs = nowMs;
        held = snapshot;
        return 'older';
      }
      const restart = !shown || snapshot.epoch !== shown.epoch || snapshot.board !== shown.board;
      shown = snapshot;
      held = null;
      return restart ? 'restart' : 'next';
    },
    overdue(nowMs) {
      if (!held || nowMs - heldSinceMs < RESET_AFTER_MS) return null;
      const snapshot = held;
      shown = null;
      held = null;
      return snapshot;
    },
  };
}

function isOlder(snapshot, shown) {
  if (snapshot.epoch === null || shown.epoch === null) return false;
  if (snapshot.epoch !== shown.epoch) return snapshot.epoch < shown.epoch;
  return snapshot.version !== null && shown.version !== null && snapshot.version < shown.version;
}
