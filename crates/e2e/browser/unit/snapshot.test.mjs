/** Frames: what is accepted, what is refused, and in which order they may be shown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOrder, parseSnapshot, RESET_AFTER_MS } from '../../../../static/js/snapshot.js';

const parse = (frame) => parseSnapshot(JSON.stringify(frame));
const snapshot = (epoch, version) => parse({ user_list: [], current_time_ms: 1, board: 'b', epoch, version });

test('full_frame_is_read', () => {
  const read = parse({
    user_list: [{ rank: 1, score: 12.5, nickname: 'mira', user_id: '7' }],
    current_time_ms: 1795260000123.4,
    board: 'game-score',
    window: 'all',
    epoch: 3,
    version: 88121,
    players: 14853,
    rebuilding: true,
    stages: { created_ms: 1, in_kafka_ms: 2, applied_ms: 3, published_ms: 4 },
  });
  assert.deepEqual(read.rows, [{ key: 'id:7', rank: 1, score: 12.5, name: 'mira' }]);
  assert.equal(read.players, 14853);
  assert.equal(read.rebuilding, true);
  assert.deepEqual(read.stages, { inKafkaMs: 2, publishedMs: 4 });
});

test('plain_frame_is_enough', () => {
  const read = parse({ user_list: [{ rank: 1, score: -3, nickname: 'mira' }], current_time_ms: 5 });
  assert.equal(read.rows[0].key, 'name:mira');
  assert.equal(read.epoch, null);
  assert.equal(read.rebuilding, false);
  assert.deepEqual(read.stages, { inKafkaMs: null, publishedMs: null });
});

test('bad_frames_are_refused_whole', () => {
  const good = { rank: 1, score: 1, nickname: 'a' };
  const bad = [
    '', '{', 'null', '7', '[]', '{}', undefined, new Uint8Array(2),
    '{"user_list":{},"current_time_ms":1}',
    '{"user_list":[]}',
    '{"user_list":[],"current_time_ms":"1"}',
    ...[null, 7, {}, { ...good, score: '1' }, { ...good, score: null }, { ...good, rank: '1' }, { ...good, nickname: 3 }].map(
      (user) => JSON.stringify({ user_list: [good, user], current_time_ms: 1 }),
    ),
  ];
  for (const text of bad) assert.equal(parseSnapshot(text), null, String(text));
});

test('equal_names_without_ids_keep_rows_apart', () => {
  const twin = { rank: 1, score: 1, nickname: 'twin' };
  const keys = parse({ user_list: [twin, twin, twin], current_time_ms: 1 }).rows.map((row) => row.key);
  assert.equal(new Set(keys).size, 3);
});

test('nameless_player_is_called_by_id', () => {
  const rows = parse({
    user_list: [{ rank: 1, score: 1, nickname: ' ', user_id: 9 }, { rank: 2, score: 1, nickname: '' }],
    current_time_ms: 1,
  }).rows;
  assert.deepEqual(rows.map((row) => row.name), ['user-9', '(no name)']);
});

test('order_only_grows', () => {
  const order = createOrder();
  const steps = [[3, 10, 'restart'], [3, 11, 'next'], [3, 10, 'older'], [3, 11, 'next'], [2, 99, 'older'], [4, 1, 'restart'], [3, 12, 'older']];
  for (const [epoch, version, expected] of steps) assert.equal(order.admit(snapshot(epoch, version), 0), expected);
});

test('frames_without_versions_are_shown_as_they_come', () => {
  const order = createOrder();
  const plain = parse({ user_list: [], current_time_ms: 1 });
  assert.equal(order.admit(plain, 0), 'restart');
  assert.equal(order.admit(plain, 0), 'next');
});

test('other_board_starts_anew', () => {
  const order = createOrder();
  order.admit(snapshot(3, 1), 0);
  assert.equal(order.admit({ ...snapshot(3, 2), board: 'other' }, 0), 'restart');
});

test('wiped_system_is_believed_after_a_while', () => {
  const order = createOrder();
  order.admit(snapshot(9, 500), 0);
  order.admit(snapshot(1, 1), 1_000);
  const newest = snapshot(1, 2);
  order.admit(newest, 2_000);
  assert.equal(order.overdue(1_000 + RESET_AFTER_MS - 1), null);
  assert.equal(order.overdue(1_000 + RESET_AFTER_MS), newest);
  assert.equal(order.admit(newest, 0), 'restart');
});

test('held_frame_is_forgotten_when_a_newer_one_comes', () => {
  const order = createOrder();
  order.admit(snapshot(9, 500), 0);
  order.admit(snapshot(1, 1), 1_000);
  order.admit(snapshot(9, 501), 2_000);
  assert.equal(order.overdue(1_000 + RESET_AFTER_MS), null);
});
