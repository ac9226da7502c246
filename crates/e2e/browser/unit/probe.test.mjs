/** Silence is confirmed by asking. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProbe, FIRST_PROBE_AFTER_MS, PROBE_EVERY_MS } from '../../../../static/js/probe.js';

function bench(reply) {
  const seen = { asked: 0, answers: [], dead: 0 };
  const probe = createProbe({
    onAnswer: (ready) => seen.answers.push(ready),
    onDead: () => (seen.dead += 1),
    fetch: async () => {
      seen.asked += 1;
      return reply();
    },
  });
  return { probe, seen };
}

const status = (code) => () => ({ status: code });
const refused = () => {
  throw new TypeError('refused');
};

test('asks_only_when_silent_and_then_regularly', async () => {
  const { probe, seen } = bench(status(200));
  probe.heard(0);
  await probe.tick(FIRST_PROBE_AFTER_MS - 1);
  assert.equal(seen.asked, 0);
  await probe.tick(FIRST_PROBE_AFTER_MS);
  await probe.tick(FIRST_PROBE_AFTER_MS + PROBE_EVERY_MS - 1);
  assert.equal(seen.asked, 1);
  await probe.tick(FIRST_PROBE_AFTER_MS + PROBE_EVERY_MS);
  assert.deepEqual(seen.answers, [true, true]);
});

test('never_asks_twice_at_once', async () => {
  let release;
  const { probe, seen } = bench(() => new Promise((resolve) => (release = resolve)));
  const first = probe.tick(0);
  await probe.tick(PROBE_EVERY_MS * 2);
  assert.equal(seen.asked, 1);
  release({ status: 200 });
  await first;
});

test('not_ready_is_an_answer_and_a_gateway_error_is_none', async () => {
  for (const [code, answers] of [[200, [true]], [404, [true]], [503, [false]], [502, []], [504, []]]) {
    const { probe, seen } = bench(status(code));
    await probe.tick(0);
    assert.deepEqual(seen.answers, answers, String(code));
  }
});

test('two_failures_in_a_row_mean_dead', async () => {
  const { probe, seen } = bench(refused);
  await probe.tick(0);
  assert.equal(seen.dead, 0);
  await probe.tick(PROBE_EVERY_MS);
  assert.equal(seen.dead, 1);
});

test('a_frame_between_failures_forgives_the_first', async () => {
  const { probe, seen } = bench(refused);
  await probe.tick(0);
  probe.heard(1);
  await probe.tick(PROBE_EVERY_MS);
  assert.equal(seen.dead, 0);
});
