/**
 * What the stage times of a snapshot tell. Pure.
 *
 * `created_ms` is never used: a replay of old matches carries old dates.
 */

/** Beyond this the two clocks disagree, or the frame waited on the server for a viewer to come. */
const LONGEST_TRANSIT_MS = 10_000;
/** Clocks kept by NTP may still differ by a little. */
const CLOCK_TOLERANCE_MS = 100;

/**
 * @param {import('./snapshot.js').Stages} stages
 * @param {number} receivedMs local wall clock
 * @returns {{pipelineMs: number | null, eventToPageMs: number | null, recent: boolean}}
 *   `pipelineMs`: from Kafka to published; `recent`: published just now, so that it speaks for the present
 */
export function measure({ inKafkaMs, publishedMs }, receivedMs) {
  if (inKafkaMs === null || publishedMs === null || publishedMs < inKafkaMs) {
    return { pipelineMs: null, eventToPageMs: null, recent: false };
  }
  const pipelineMs = publishedMs - inKafkaMs;
  const transitMs = receivedMs - publishedMs;
  const recent = transitMs >= -CLOCK_TOLERANCE_MS && transitMs <= LONGEST_TRANSIT_MS;
  return { pipelineMs, eventToPageMs: recent ? pipelineMs + Math.max(0, transitMs) : null, recent };
}

const MINUTE_MS = 60_000;

/**
 * @returns {{add: (nowMs: number) => void, perMinute: (nowMs: number) => number}} counts the last minute's frames
 */
export function createFrameCounter() {
  let times = [];
  const recent = (nowMs) => times.filter((timeMs) => timeMs <= nowMs && nowMs - timeMs < MINUTE_MS);
  return {
    add(nowMs) {
      times = [...recent(nowMs), nowMs];
    },
    perMinute: (nowMs) => recent(nowMs).length,
  };
}
