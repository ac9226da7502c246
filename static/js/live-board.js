/**
 * Ties the parts together: frames in, a board and an honest status out. Used by the page and by the overlay.
 */
import { createAnnouncer } from './announcer.js';
import { createBoardView } from './board-view.js';
import { elapsedMs } from './clock.js';
import { keepConnected } from './connection.js';
import { createFrameCounter, measure } from './latency.js';
import { judge, SLOW_PIPELINE_MS } from './liveness.js';
import { createMovement } from './movement.js';
import { createProbe } from './probe.js';
import { recall, remember } from './remembered.js';
import { createOrder, parseSnapshot } from './snapshot.js';
import { createStatusView } from './status-view.js';

const TICK_MS = 1_000;
const SKELETON_ROWS = 10;
/** A server that has no snapshot yet sends nothing: then the board counts as empty. */
const EMPTY_AFTER_MS = 2_000;

/**
 * @typedef {{framesPerMinute: number, badFrames: number, eventToPageMs: number | null}} Readings
 *
 * @param {object} options
 * @param {HTMLTableElement} options.table
 * @param {HTMLElement} options.pill
 * @param {HTMLElement} options.announcements an aria-live region
 * @param {HTMLElement} options.empty shown instead of the table when there are no players
 * @param {number} [options.top] at most so many rows
 * @param {(snapshot: import('./snapshot.js').Snapshot) => void} [options.onSnapshot]
 * @param {(readings: Readings) => void} [options.onReadings] about once a second
 */
export function startLiveBoard({
  table,
  pill,
  announcements,
  empty,
  top = Infinity,
  onSnapshot = () => {},
  onReadings = () => {},
}) {
  const order = createOrder();
  const movement = createMovement();
  const announce = createAnnouncer();
  const frames = createFrameCounter();
  const view = createBoardView(table);
  const showStatus = createStatusView(pill);

  const facts = {
    phase: 'connecting',
    retryAtMs: null,
    startedAtMs: Date.now(),
    contactAtMs: null,
    remembered: false,
    ready: true,
    rebuilding: false,
    slowAtMs: null,
  };
  let rows = [];
  let dataAtMs = null;
  let latency = measure({ inKafkaMs: null, publishedMs: null }, 0);
  let openedAtMs = 0;
  let firstOfConnection = true;
  let lastGoodFrame = null;
  let badFrames = 0;

  function refresh() {
    const nowMs = Date.now();
    const age = elapsedMs(nowMs, dataAtMs);
    showStatus(judge(facts, nowMs), {
      ageMs: dataAtMs === null ? null : Number.isFinite(age) ? age : 0,
      pipelineMs: latency.pipelineMs,
    });
    const sentence = announce(rows, nowMs);
    if (sentence) announcements.textContent = sentence;
    if (nothingCame(nowMs)) showRows([], nowMs);
    onReadings({ framesPerMinute: frames.perMinute(nowMs), badFrames, eventToPageMs: latency.eventToPageMs });
  }

  function nothingCame(nowMs) {
    return facts.phase === 'open' && dataAtMs === null && badFrames === 0 && nowMs - openedAtMs >= EMPTY_AFTER_MS;
  }

  function showRows(next, nowMs) {
    rows = next.slice(0, top);
    view.show(rows, movement.see(rows, nowMs));
    empty.hidden = rows.length > 0;
    table.hidden = rows.length === 0;
  }

  function showSnapshot(snapshot, nowMs) {
    // While the board is being rebuilt an empty list means "not yet": what was there stays.
    if (!(snapshot.rebuilding && snapshot.rows.length === 0 && rows.length > 0)) showRows(snapshot.rows, nowMs);
    onSnapshot(snapshot);
  }

  function onFrame(text) {
    const nowMs = Date.now();
    const snapshot = parseSnapshot(text);
    if (!snapshot) {
      badFrames += 1;
      return refresh();
    }
    contact(nowMs);
    probe.heard(nowMs);
    frames.add(nowMs);
    const admitted = order.admit(snapshot, nowMs);
    if (admitted !== 'older') accept(snapshot, admitted, nowMs);
    firstOfConnection = false;
    refresh();
  }

  function accept(snapshot, admitted, nowMs) {
    if (admitted === 'restart') movement.restart();
    facts.rebuilding = snapshot.rebuilding;
    // The first frame of a connection may have waited on the server; later ones are sent as they are made.
    latency = measure(snapshot.stages, nowMs);
    if (firstOfConnection) latency = { ...latency, eventToPageMs: null };
    facts.slowAtMs = latency.recent && latency.pipelineMs > SLOW_PIPELINE_MS ? nowMs : null;
    dataAtMs = firstOfConnection ? Math.min(nowMs, snapshot.timeMs) : nowMs;
    lastGoodFrame = snapshot.text;
    showSnapshot(snapshot, nowMs);
  }

  function contact(nowMs) {
    facts.contactAtMs = nowMs;
    facts.ready = true;
  }

  const probe = createProbe({
    onAnswer(ready) {
      contact(Date.now());
      facts.ready = ready;
      refresh();
    },
    onDead: () => connection.drop(),
  });

  function tick() {
    const nowMs = Date.now();
    const overdue = order.overdue(nowMs);
    if (overdue) accept(overdue, order.admit(overdue, nowMs), nowMs);
    if (facts.phase === 'open' && !document.hidden) probe.tick(nowMs);
    refresh();
  }

  function paintRemembered() {
    const snapshot = parseSnapshot(recall());
    if (!snapshot || snapshot.rows.length === 0) return;
    facts.remembered = true;
    dataAtMs = Math.min(facts.startedAtMs, snapshot.timeMs);
    showSnapshot(snapshot, facts.startedAtMs);
  }

  view.showSkeleton(Math.min(top, SKELETON_ROWS));
  paintRemembered();

  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const connection = keepConnected({
    url: `${scheme}//${location.host}/live-updates/leaderboard`,
    onFrame,
    onChange({ phase, retryAtMs }) {
      const nowMs = Date.now();
      if (phase === 'open') {
        contact(nowMs);
        openedAtMs = nowMs;
        firstOfConnection = true;
      }
      facts.phase = phase;
      facts.retryAtMs = retryAtMs;
      refresh();
    },
  });

  addEventListener('online', () => connection.retryNow());
  // Sockets may take minutes to notice; where the server is in reach after all, the next try finds it.
  addEventListener('offline', () => connection.drop());
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return lastGoodFrame && remember(lastGoodFrame);
    connection.retryNow();
    tick();
  });
  addEventListener('pagehide', () => lastGoodFrame && remember(lastGoodFrame));
  setInterval(tick, TICK_MS);
}
