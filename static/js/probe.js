/**
 * An unchanged board sends nothing. This tells that silence from a dead connection by asking `/readyz`.
 */
import { elapsedMs } from './clock.js';

export const FIRST_PROBE_AFTER_MS = 5_000;
export const PROBE_EVERY_MS = 10_000;
export const PROBE_TIMEOUT_MS = 4_000;
export const FAILURES_UNTIL_DEAD = 2;

/**
 * @param {object} options
 * @param {(ready: boolean) => void} options.onAnswer the server answered; `ready` is false for a 503
 * @param {() => void} options.onDead FAILURES_UNTIL_DEAD probes in a row got no answer
 * @param {(url: string, init: RequestInit) => Promise<{status: number}>} [options.fetch]
 * @returns {{heard: (nowMs: number) => void, tick: (nowMs: number) => Promise<void>}}
 *   `heard` is called for every frame, `tick` whenever a probe would be welcome (socket open, page visible)
 */
export function createProbe({ onAnswer, onDead, fetch = globalThis.fetch.bind(globalThis) }) {
  let heardAtMs = null;
  let askedAtMs = null;
  let asking = false;
  let failures = 0;

  const due = (nowMs) =>
    !asking && elapsedMs(nowMs, heardAtMs) >= FIRST_PROBE_AFTER_MS && elapsedMs(nowMs, askedAtMs) >= PROBE_EVERY_MS;

  return {
    heard(nowMs) {
      heardAtMs = nowMs;
      askedAtMs = null;
      failures = 0;
    },
    async tick(nowMs) {
      if (!due(nowMs)) return;
      askedAtMs = nowMs;
      asking = true;
      const status = await ask(fetch);
      asking = false;
      if (answered(status)) {
        failures = 0;
        onAnswer(status !== 503);
        return;
      }
      failures += 1;
      if (failures >= FAILURES_UNTIL_DEAD) {
        failures = 0;
        onDead();
      }
    },
  };
}

async function ask(fetch) {
  try {
    const response = await fetch('/readyz', { cache: 'no-store', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    return response.status;
  } catch {
    return null;
  }
}

/** 503 is the server's own "not ready"; other 5xx come from a proxy that cannot reach it. */
function answered(status) {
  return status !== null && (status < 500 || status === 503);
}
