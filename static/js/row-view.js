/**
 * One player's row. Names are untrusted text: they only ever go in as text, in their own direction.
 */
import { countUp, flash } from './motion.js';

const LONG_NAME = 16;
const MARKS = { same: '–', new: 'new', up: '▲', down: '▼' };

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  node.className = className;
  node.append(...children);
  return node;
}

/**
 * @param {import('./movement.js').Move} move
 * @returns {string} for those who do not see the mark
 */
function moveText({ kind, places }) {
  if (kind === 'same') return 'no change';
  if (kind === 'new') return 'new on the board';
  return `${kind} ${places} ${places === 1 ? 'place' : 'places'}`;
}

/** @returns {{element: HTMLTableRowElement, show: Function}} */
export function createRowView() {
  const medal = element('span', 'medal');
  const name = element('bdi', 'name-text');
  const score = element('data', '');
  const mark = element('span', 'mark');
  const markText = element('span', 'visually-hidden');
  mark.ariaHidden = 'true';
  name.dir = 'auto';

  const rankCell = element('td', 'rank', medal);
  const nameCell = element('th', 'name', name);
  nameCell.scope = 'row';
  const row = element('tr', 'player', rankCell, nameCell, element('td', 'score', score), element('td', 'move', mark, markText));

  let target = null;
  let shown = 0;
  let stopCounting = () => {};

  function showScore(value, format) {
    stopCounting();
    score.value = String(value);
    const paint = (current) => {
      shown = current;
      score.textContent = format(current);
    };
    if (target === null || target === value) paint(value);
    else {
      flash(rankCell);
      stopCounting = countUp(shown, value, paint);
    }
    target = value;
  }

  return {
    element: row,
    /**
     * @param {import('./snapshot.js').Row} player
     * @param {{move: import('./movement.js').Move, share: number, format: (score: number) => string}} look
     */
    show(player, { move, share, format }) {
      row.dataset.rank = player.rank;
      row.style.setProperty('--share', share.toFixed(4));
      medal.textContent = player.rank;
      name.textContent = player.name;
      name.title = player.name.length > LONG_NAME ? player.name : '';
      showScore(player.score, format);
      row.dataset.move = move.kind;
      mark.textContent = MARKS[move.kind] + (move.places > 0 ? ` ${move.places}` : '');
      markText.textContent = moveText(move);
    },
  };
}
