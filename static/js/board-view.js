/**
 * The table: one row per player, kept from snapshot to snapshot so that it can move.
 */
import { moveAfter } from './motion.js';
import { decimalsOf, scoreFormat, sharesOf } from './numbers.js';
import { createRowView } from './row-view.js';

/**
 * @param {HTMLTableElement} table with one tbody
 * @returns {{showSkeleton: (count: number) => void, show: Function}}
 */
export function createBoardView(table) {
  const body = table.tBodies[0];
  let views = new Map();

  const playerRows = () => [...views.values()].map((view) => view.element);

  return {
    showSkeleton(count) {
      body.replaceChildren(...Array.from({ length: count }, skeletonRow));
    },

    /**
     * @param {import('./snapshot.js').Row[]} rows
     * @param {import('./movement.js').Move[]} moves one per row
     */
    show(rows, moves) {
      const scores = rows.map((row) => row.score);
      const shares = sharesOf(scores);
      const format = scoreFormat(decimalsOf(scores));

      moveAfter(playerRows, () => {
        const next = new Map();
        rows.forEach((row, index) => {
          const view = views.get(row.key) ?? createRowView();
          view.show(row, { move: moves[index], share: shares[index], format });
          next.set(row.key, view);
        });
        views = next;
        place(body, playerRows());
      });
      table.ariaBusy = 'false';
    },
  };
}

/** Touches only rows that stand wrongly: a reader's selection and place survive an unchanged order. */
function place(body, rows) {
  const wanted = new Set(rows);
  for (const child of [...body.children]) if (!wanted.has(child)) child.remove();
  rows.forEach((row, index) => {
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
}

function skeletonRow() {
  const row = document.createElement('tr');
  row.className = 'skeleton';
  row.ariaHidden = 'true';
  for (const kind of ['rank', 'name', 'score', 'move']) {
    const cell = row.insertCell();
    cell.className = kind;
    cell.append(document.createElement('span'));
  }
  return row;
}
