/** Numbers, latency, movement, announcements, titles. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANNOUNCE_EVERY_MS, createAnnouncer } from '../../../../static/js/announcer.js';
import { createFrameCounter, measure } from '../../../../static/js/latency.js';
import { createMovement, NEW_FOR_MS, REMEMBERED_PLAYERS } from '../../../../static/js/movement.js';
import { decimalsOf, latencyText, scoreFormat, sharesOf, spanText } from '../../../../static/js/numbers.js';
import { boardTitle, windowTitle } from '../../../../static/js/titles.js';

const rows = (...keys) => keys.map((key, index) => ({ key, name: key, rank: index + 1, score: 10 - index }));

test('scores_share_their_decimals', () => {
  const scores = [1234.5, 2, -0.25];
  const format = scoreFormat(decimalsOf(scores), 'en-US');
  assert.deepEqual(scores.map(format), ['1,234.50', '2.00', '-0.25']);
  assert.equal(scoreFormat(0, 'en-US')(1e300), '1E300');
  assert.equal(decimalsOf([]), 0);
});

test('shares_stay_between_nothing_and_all', () => {
  assert.deepEqual(sharesOf([10, 5, 0]), [1, 0.5, 0]);
  assert.deepEqual(sharesOf([10, 0, -10]), [1, 0.5, 0]);
  assert.deepEqual(sharesOf([-5, -10]), [0.5, 0]);
  assert.deepEqual(sharesOf([0, 0]), [0, 0]);
  assert.deepEqual(sharesOf([]), []);
});

test('spans_and_latencies_read_well', () => {
  assert.deepEqual([0, 59_999, 60_000, 7_200_000, 200_000_000].map(spanText), ['0 s', '59 s', '1 min', '2 h', '2 d']);
  assert.deepEqual([41.6, 2_449].map(latencyText), ['42 ms', '2.4 s']);
});

test('event_to_page_needs_plausible_clocks', () => {
  const stages = { inKafkaMs: 1_000, publishedMs: 1_040 };
  assert.deepEqual(measure(stages, 1_045), { pipelineMs: 40, eventToPageMs: 45, recent: true });
  assert.deepEqual(measure(stages, 1_000), { pipelineMs: 40, eventToPageMs: 40, recent: true });
  assert.deepEqual(measure(stages, 900_000), { pipelineMs: 40, eventToPageMs: null, recent: false });
  assert.equal(measure(stages, 500).eventToPageMs, null);
  assert.equal(measure({ inKafkaMs: null, publishedMs: 5 }, 5).pipelineMs, null);
  assert.equal(measure({ inKafkaMs: 6, publishedMs: 5 }, 5).pipelineMs, null);
});

test('frames_of_the_last_minute_are_counted', () => {
  const frames = createFrameCounter();
  for (const timeMs of [0, 30_000, 59_999]) frames.add(timeMs);
  assert.equal(frames.perMinute(59_999), 3);
  assert.equal(frames.perMinute(60_000), 2);
});

test('movement_is_told_from_the_first_sight', () => {
  const movement = createMovement();
  assert.deepEqual(movement.see(rows('a', 'b'), 0).map((move) => move.kind), ['same', 'same']);
  assert.deepEqual(movement.see(rows('b', 'c', 'a'), 1), [
    { kind: 'up', places: 1 },
    { kind: 'new', places: 0 },
    { kind: 'down', places: 2 },
  ]);
  assert.deepEqual(movement.see(rows('c', 'b', 'a'), 1 + NEW_FOR_MS)[0], { kind: 'up', places: 1 });
});

test('movement_restarts_and_stays_bounded', () => {
  const movement = createMovement();
  movement.see(rows('a', 'b'), 0);
  movement.restart();
  assert.equal(movement.see(rows('b', 'a'), 1)[0].kind, 'same');
  movement.see(rows(...Array.from({ length: REMEMBERED_PLAYERS }, (_, index) => `p${index}`)), 2);
  assert.equal(movement.see(rows('b'), 3 + NEW_FOR_MS)[0].kind, 'new');
});

test('only_changes_of_the_top_three_are_announced', () => {
  const announce = createAnnouncer();
  assert.equal(announce(rows('a', 'b', 'c', 'd'), 0), null);
  assert.equal(announce(rows('a', 'b', 'c', 'e'), 1), null);
  assert.equal(announce(rows('b', 'a', 'c'), 2), 'b leads, a is second, c is third');
});

test('announcements_keep_their_distance_and_tell_the_newest', () => {
  const announce = createAnnouncer();
  announce(rows('a', 'b', 'c'), 0);
  announce(rows('b', 'a', 'c'), 1);
  assert.equal(announce(rows('c', 'a', 'b'), 2), null);
  assert.equal(announce(rows('c', 'b', 'a'), 1 + ANNOUNCE_EVERY_MS), 'c leads, b is second, a is third');
  assert.equal(announce(rows('c', 'b', 'a'), 2 + 2 * ANNOUNCE_EVERY_MS), null);
});

test('titles_are_made_for_people', () => {
  assert.equal(boardTitle('game-score'), 'Game score');
  assert.equal(boardTitle('-'), '-');
  assert.equal(windowTitle('all'), 'all time');
  assert.equal(windowTitle('euro-2024'), 'euro-2024');
});
