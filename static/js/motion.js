/**
 * All movement of the board: rows that change places, scores that count up, the flash of a changed row.
 *
 * Nothing moves in a hidden tab or for readers who asked for less motion; the flash has no movement and stays.
 */

const MOVE_MS = 450;
const COUNT_MS = 350;
const FLASH_MS = 1_100;
const EASE_OUT = 'cubic-bezier(.2, .8, .2, 1)';

const wantsLessMotion = matchMedia('(prefers-reduced-motion: reduce)');
const still = () => document.hidden || wantsLessMotion.matches;

/**
 * FLIP: measures, lets `change` rearrange the document, then plays every element from where it stood.
 *
 * @param {() => HTMLElement[]} elements those on the page, asked before and after the change
 * @param {() => void} change
 */
export function moveAfter(elements, change) {
  if (still()) return change();

  const before = new Map(elements().map((element) => [element, element.getBoundingClientRect().top]));
  change();
  const after = elements();
  // Ends the moves that are still under way; their present position was measured above.
  for (const element of after) {
    for (const animation of element.getAnimations()) if (animation.id === 'move') animation.cancel();
  }
  const places = after.map((element) => ({ element, top: element.getBoundingClientRect().top }));
  for (const { element, top } of places) play(element, before.get(element), top);
}

function play(element, fromTop, toTop) {
  if (fromTop === toTop) return;
  const entering = fromTop === undefined;
  const start = entering
    ? { transform: 'translateY(1rem)', opacity: 0 }
    : { transform: `translateY(${fromTop - toTop}px)` };
  element.animate([start, { transform: 'none' }], { id: 'move', duration: MOVE_MS, easing: EASE_OUT });
}

/**
 * @param {HTMLElement} cell carries the flash as its `::after`
 */
export function flash(cell) {
  if (document.hidden) return;
  cell.animate([{ opacity: 1 }, { opacity: 0 }], { duration: FLASH_MS, easing: 'ease-out', pseudoElement: '::after' });
}

/**
 * @param {number} from
 * @param {number} to
 * @param {(value: number) => void} show called with `to` at the end, whatever happens before
 * @returns {() => void} stops the counting where it is
 */
export function countUp(from, to, show) {
  if (still()) {
    show(to);
    return () => {};
  }
  const startMs = performance.now();
  let request = requestAnimationFrame(function step(nowMs) {
    const done = Math.min(1, Math.max(0, (nowMs - startMs) / COUNT_MS));
    show(done === 1 ? to : from + (to - from) * (1 - (1 - done) ** 3));
    if (done < 1) request = requestAnimationFrame(step);
  });
  return () => cancelAnimationFrame(request);
}
