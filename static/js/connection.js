/**
 * One websocket that is always being kept open: exponential back-off with full jitter between tries.
 *
 * Knows nothing of what the frames mean. Clock, timers, randomness and the socket itself can be replaced by a test.
 */

export const FIRST_DELAY_MS = 250;
export const LONGEST_DELAY_MS = 15_000;
/** An open connection that lasted this long starts the back-off anew. */
export const STABLE_AFTER_MS = 10_000;
/** Browsers themselves wait minutes for a server that never answers. */
export const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Full jitter: anywhere between nothing and the doubled delay, so that viewers do not come back in step.
 *
 * @param {number} failures tries lost so far in a row
 * @param {() => number} random in [0, 1)
 * @returns {number} milliseconds
 */
export function backoffMs(failures, random) {
  return Math.round(random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures));
}

/**
 * @typedef {{phase: 'connecting' | 'open' | 'waiting', retryAtMs: number | null, failures: number}} ConnectionState
 *
 * @param {object} options
 * @param {string} options.url
 * @param {(data: unknown) => void} options.onFrame
 * @param {(state: ConnectionState) => void} options.onChange
 * @param {(url: string) => WebSocket} [options.createSocket]
 * @param {() => number} [options.now]
 * @param {() => number} [options.random]
 * @param {{setTimeout: Function, clearTimeout: Function}} [options.timers]
 * @returns {{drop: () => void, retryNow: () => void}} `drop` gives up a socket believed dead,
 *   `retryNow` cuts a wait short
 */
export function keepConnected({
  url,
  onFrame,
  onChange,
  createSocket = (address) => new WebSocket(address),
  now = Date.now,
  random = Math.random,
  timers = globalThis,
}) {
  let socket = null;
  let phase = 'waiting';
  let failures = 0;
  // One timer is enough: it limits the try, then proves stability, then ends the wait.
  let timer;

  function enter(nextPhase, delayMs, onTimer) {
    timers.clearTimeout(timer);
    timer = timers.setTimeout(onTimer, delayMs);
    phase = nextPhase;
    onChange({ phase, retryAtMs: phase === 'waiting' ? now() + delayMs : null, failures });
  }

  function connect() {
    const mine = createSocket(url);
    socket = mine;
    // A socket that was given up may still report: it is not listened to any more.
    const whileMine = (react) => (event) => mine === socket && react(event);
    mine.onopen = whileMine(() => enter('open', STABLE_AFTER_MS, () => (failures = 0)));
    mine.onmessage = whileMine((event) => onFrame(event.data));
    mine.onclose = whileMine(lost);
    enter('connecting', CONNECT_TIMEOUT_MS, drop);
  }

  function lost() {
    socket = null;
    const delayMs = backoffMs(failures, random);
    failures += 1;
    enter('waiting', delayMs, connect);
  }

  function drop() {
    if (!socket) return;
    const dead = socket;
    lost();
    dead.close();
  }

  connect();
  return {
    drop,
    retryNow: () => phase === 'waiting' && connect(),
  };
}
