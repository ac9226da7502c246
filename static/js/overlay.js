/**
 * The overlay for stream software and iframes: the same board, nothing around it.
 *
 * Query: `top` (1–100, default 5), `theme` (dark or light, default dark), `title`.
 */
import { startLiveBoard } from './live-board.js';
import { boardTitle } from './titles.js';

const DEFAULT_TOP = 5;
const LARGEST_TOP = 100;

const query = new URLSearchParams(location.search);
const title = query.get('title');
const top = Number.parseInt(query.get('top') ?? '', 10);
const byId = (id) => document.getElementById(id);

// On the body, not on the root: a root with a dark colour scheme makes browsers paint an iframe's background.
document.body.dataset.theme = query.get('theme') === 'light' ? 'light' : 'dark';
if (title) byId('title').textContent = title;

startLiveBoard({
  table: byId('board'),
  pill: byId('status'),
  announcements: byId('announcements'),
  empty: byId('empty'),
  top: Number.isNaN(top) ? DEFAULT_TOP : Math.min(LARGEST_TOP, Math.max(1, top)),
  onSnapshot({ board }) {
    if (!title && board) byId('title').textContent = boardTitle(board);
  },
});
