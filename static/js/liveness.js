/**
 * How far the board on the screen can be trusted. Pure: facts and a time in, one verdict out.
 */
import { elapsedMs } from './clock.js';

export const LIVE_WITHIN_MS = 15_000;
export const STALE_AFTER_MS = 30_000;
export const SLOW_PIPELINE_MS = 2_000;

/**
 * @typedef {object} Facts
 * @property {'connecting' | 'open' | 'waiting'} phase of the socket
 * @property {number | null} retryAtMs when the next try is due, while waiting
 * @property {number} startedAtMs when the page began to look
 * @property {number | null} contactAtMs last proof that the server is there: an open, a frame, an answered probe
 * @property {boolean} remembered the rows come from before a reload
 * @property {boolean} ready false after a 503
 * @property {boolean} rebuilding the newest frame says so
 * @property {number | null} slowAtMs when a frame last showed a slow pipeline
 *
 * @typedef {{state: 'live' | 'delayed' | 'reconnecting' | 'stale',
 *   reason: null | 'slow' | 'rebuilding' | 'not-ready' | 'unconfirmed' | 'connecting' | 'lost' | 'silent',
 *   silentMs: number, retryInMs: number | null}} Verdict
 *
 * @param {Facts} facts
 * @param {number} nowMs
 * @returns {Verdict}
 */
export function judge(facts, nowMs) {
  const silentMs = elapsedMs(nowMs, facts.contactAtMs ?? facts.startedAtMs);
  const retryInMs = facts.retryAtMs === null ? null : Math.max(0, facts.retryAtMs - nowMs);
  const verdict = (state, reason) => ({ state, reason, silentMs, retryInMs });

  if (silentMs > STALE_AFTER_MS) return verdict('stale', 'silent');
  if (facts.remembered && facts.contactAtMs === null) return verdict('stale', 'connecting');
  if (facts.phase !== 'open') return verdict('reconnecting', facts.contactAtMs === null ? 'connecting' : 'lost');
  if (facts.rebuilding) return verdict('delayed', 'rebuilding');
  if (!facts.ready) return verdict('delayed', 'not-ready');
  if (silentMs > LIVE_WITHIN_MS) return verdict('delayed', 'unconfirmed');
  // A slow frame is news for a while only: on a board that then falls quiet nothing is late any more.
  if (elapsedMs(nowMs, facts.slowAtMs) <= LIVE_WITHIN_MS) return verdict('delayed', 'slow');
  return verdict('live', null);
}
