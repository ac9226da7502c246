/** The verdicts on the board's state, and the words for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, LIVE_WITHIN_MS, STALE_AFTER_MS } from '../../../../static/js/liveness.js';
import { describe } from '../../../../static/js/status-view.js';

const NOW_MS = 1_000_000;
const good = {
  phase: 'open',
  retryAtMs: null,
  startedAtMs: NOW_MS - 500_000,
  contactAtMs: NOW_MS - 1_000,
  remembered: false,
  ready: true,
  rebuilding: false,
  slowAtMs: null,
};
const verdict = (facts) => {
  const { state, reason } = judge({ ...good, ...facts }, NOW_MS);
  return [state, reason];
};

test('each_state_has_its_facts', () => {
  const cases = [
    [{}, 'live', null],
    [{ contactAtMs: NOW_MS - LIVE_WITHIN_MS }, 'live', null],
    [{ contactAtMs: NOW_MS - LIVE_WITHIN_MS - 1 }, 'delayed', 'unconfirmed'],
    [{ contactAtMs: NOW_MS - STALE_AFTER_MS }, 'delayed', 'unconfirmed'],
    [{ contactAtMs: NOW_MS - STALE_AFTER_MS - 1 }, 'stale', 'silent'],
    [{ rebuilding: true }, 'delayed', 'rebuilding'],
    [{ ready: false }, 'delayed', 'not-ready'],
    [{ slowAtMs: NOW_MS - 100 }, 'delayed', 'slow'],
    [{ slowAtMs: NOW_MS - LIVE_WITHIN_MS - 1 }, 'live', null],
    [{ phase: 'waiting' }, 'reconnecting', 'lost'],
    [{ phase: 'connecting' }, 'reconnecting', 'lost'],
    [{ phase: 'waiting', contactAtMs: NOW_MS - STALE_AFTER_MS - 1 }, 'stale', 'silent'],
    [{ phase: 'connecting', contactAtMs: null, startedAtMs: NOW_MS }, 'reconnecting', 'connecting'],
    [{ phase: 'connecting', contactAtMs: null, startedAtMs: NOW_MS, remembered: true }, 'stale', 'connecting'],
    [{ remembered: true }, 'live', null],
    [{ phase: 'waiting', contactAtMs: null }, 'stale', 'silent'],
  ];
  for (const [facts, ...expected] of cases) assert.deepEqual(verdict(facts), expected, JSON.stringify(facts));
});

test('clock_set_back_confirms_nothing', () => {
  assert.deepEqual(verdict({ contactAtMs: NOW_MS + 60_000 }), ['stale', 'silent']);
});

test('words_say_state_reason_countdown_and_age', () => {
  const say = (facts, data) => {
    const { word, detail } = describe(judge({ ...good, ...facts }, NOW_MS), { ageMs: null, pipelineMs: null, ...data });
    return detail ? `${word}: ${detail}` : word;
  };
  assert.equal(say({}, { ageMs: 3_200 }), 'Live: updated 3 s ago');
  assert.equal(say({}, { ageMs: 400 }), 'Live: updated just now');
  assert.equal(say({ slowAtMs: NOW_MS }, { ageMs: 0, pipelineMs: 3_240 }), 'Delayed: events take 3.2 s · updated just now');
  assert.equal(say({ phase: 'waiting', retryAtMs: NOW_MS + 3_001 }, { ageMs: 65_000 }), 'Reconnecting: next try in 4 s · updated 1 min ago');
  assert.equal(say({ phase: 'connecting', contactAtMs: null, startedAtMs: NOW_MS }), 'Connecting');
  assert.equal(say({ contactAtMs: NOW_MS - 42_000 }, { ageMs: 42_000 }), 'Stale: no contact for 42 s · updated 42 s ago');
});
