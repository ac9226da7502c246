/** Reconnecting, with a clock and sockets made by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  backoffMs,
  CONNECT_TIMEOUT_MS,
  FIRST_DELAY_MS,
  keepConnected,
  LONGEST_DELAY_MS,
  STABLE_AFTER_MS,
} from '../../../../static/js/connection.js';

/** One pending timer at most: that is what the connection promises itself. */
function bench() {
  const sockets = [];
  const frames = [];
  const states = [];
  let nowMs = 0;
  let pending = null;
  const timers = {
    setTimeout(run, delayMs) {
      assert.equal(pending, null, 'two timers at once');
      pending = { run, atMs: nowMs + delayMs };
      return pending;
    },
    clearTimeout(timer) {
      if (timer === pending) pending = null;
    },
  };
  const connection = keepConnected({
    url: 'ws://test/',
    onFrame: (frame) => frames.push(frame),
    onChange: (state) => states.push(state),
    createSocket() {
      const socket = { closed: false, close: () => (socket.closed = true) };
      sockets.push(socket);
      return socket;
    },
    now: () => nowMs,
    random: () => 0.5,
    timers,
  });
  return {
    connection,
    sockets,
    frames,
    socket: () => sockets.at(-1),
    state: () => states.at(-1),
    advance(ms) {
      nowMs += ms;
      while (pending && pending.atMs <= nowMs) {
        const { run } = pending;
        pending = null;
        run();
      }
    },
  };
}

test('backoff_doubles_up_to_the_cap_with_full_jitter', () => {
  assert.equal(backoffMs(0, () => 0.999999), FIRST_DELAY_MS);
  assert.equal(backoffMs(2, () => 0.5), FIRST_DELAY_MS * 2);
  assert.equal(backoffMs(1_000, () => 0.999999), LONGEST_DELAY_MS);
  assert.equal(backoffMs(5, () => 0), 0);
});

test('lost_socket_is_tried_again_later_and_later', () => {
  const { socket, sockets, state, advance } = bench();
  const delays = [];
  for (let round = 0; round < 8; round += 1) {
    socket().onclose();
    assert.equal(state().phase, 'waiting');
    const before = sockets.length;
    let waitedMs = 0;
    while (sockets.length === before) {
      advance(1);
      waitedMs += 1;
    }
    delays.push(waitedMs);
  }
  assert.deepEqual(delays, [125, 250, 500, 1_000, 2_000, 4_000, 7_500, 7_500]);
});

test('waiting_says_when_the_next_try_is', () => {
  const { socket, state } = bench();
  socket().onclose();
  assert.equal(state().retryAtMs, 125);
});

test('stable_connection_forgives_failures_and_a_short_one_does_not', () => {
  const { socket, state, advance } = bench();
  const lose = () => {
    socket().onclose();
    advance(state().retryAtMs);
  };
  lose();
  lose();
  socket().onopen();
  advance(STABLE_AFTER_MS - 1);
  socket().onclose();
  assert.equal(state().failures, 3);
  advance(LONGEST_DELAY_MS);
  socket().onopen();
  advance(STABLE_AFTER_MS);
  socket().onclose();
  assert.equal(state().failures, 1);
});

test('server_that_never_answers_is_given_up', () => {
  const { socket, state, advance } = bench();
  const hanging = socket();
  advance(CONNECT_TIMEOUT_MS);
  assert.equal(hanging.closed, true);
  assert.equal(state().phase, 'waiting');
});

test('retry_now_cuts_the_wait_short_and_nothing_else', () => {
  const { connection, socket, sockets, state } = bench();
  connection.retryNow();
  assert.equal(sockets.length, 1);
  socket().onclose();
  connection.retryNow();
  assert.equal(sockets.length, 2);
  assert.equal(state().phase, 'connecting');
});

test('dropped_socket_is_not_listened_to_any_more', () => {
  const { connection, socket, frames, state } = bench();
  const dead = socket();
  dead.onopen();
  connection.drop();
  assert.equal(dead.closed, true);
  dead.onmessage({ data: 'late' });
  dead.onclose();
  assert.deepEqual(frames, []);
  assert.equal(state().failures, 1);
});
