/**
 * The page: the live board with its heading, theme button and footer.
 */
import { startLiveBoard } from './live-board.js';
import { latencyText } from './numbers.js';
import { startTheme } from './theme.js';
import { boardTitle, windowTitle } from './titles.js';

const byId = (id) => document.getElementById(id);
const playersFormat = new Intl.NumberFormat();

startTheme(document.documentElement, byId('theme'));

startLiveBoard({
  table: byId('board'),
  pill: byId('status'),
  announcements: byId('announcements'),
  empty: byId('empty'),
  onSnapshot: showHeading,
  onReadings: showReadings,
});

function showHeading({ rows, board, window, players }) {
  if (board) {
    byId('title').textContent = boardTitle(board);
    byId('json').href = `/v1/boards/${encodeURIComponent(board)}/top`;
  }
  const size = players === null ? null : `${playersFormat.format(players)} ${players === 1 ? 'player' : 'players'}`;
  byId('summary').textContent = [size, window && windowTitle(window)].filter(Boolean).join(' · ');
  document.title = rows.length > 0 ? `${rows[0].name} leads · Rankstream` : 'Rankstream';
}

function showReadings({ framesPerMinute, badFrames, eventToPageMs }) {
  byId('latency').textContent = eventToPageMs === null ? '–' : latencyText(eventToPageMs);
  byId('frames').textContent = framesPerMinute;
  byId('bad-frames').hidden = badFrames === 0;
  byId('bad-frames').textContent = `${badFrames} unreadable ${badFrames === 1 ? 'frame' : 'frames'} ignored`;
}
