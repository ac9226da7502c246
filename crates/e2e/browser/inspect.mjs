/**
 * What is looked at inside the page. Each function runs in the browser, so it stands on its own: no imports, no
 * names from outside.
 */

/** @returns {{rank: string, name: string, score: string}[]} as read from the screen */
export function readRows() {
  return [...document.querySelectorAll('#board tbody tr.player')].map((row) => ({
    rank: row.querySelector('.rank').innerText.trim(),
    name: row.querySelector('.name').innerText.trim(),
    score: row.querySelector('.score').innerText.trim().replaceAll(',', ''),
  }));
}

/** @returns {{state: string, word: string, detail: string}} */
export function readStatus() {
  return {
    state: document.documentElement.dataset.status,
    word: document.querySelector('[role=status]').innerText,
    detail: document.querySelector('.status-detail').innerText,
  };
}

/** @returns {{rank: string, name: string, score: string}[]} */
export function readPlain() {
  return [...document.querySelectorAll('#users li')].map((item) => ({ ...item.dataset }));
}

/** @returns {string[]} elements in the board's body that the page does not make itself */
export function foreignElements() {
  const own = new Set(['TR', 'TD', 'TH', 'SPAN', 'BDI', 'DATA']);
  const inNames = document.querySelectorAll('#board .name-text *');
  const others = [...document.querySelectorAll('#board tbody *')].filter((element) => !own.has(element.tagName));
  return [...inNames, ...others].map((element) => element.outerHTML.slice(0, 200));
}

/** @returns {string[]} what is wrong, in words */
export function accessibilityFaults() {
  const LEAST_CONTRAST = 4.5;
  const faults = [];
  const expect = (condition, fault) => condition || faults.push(fault);
  const visible = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const all = (selector) => [...document.querySelectorAll(selector)];

  expect(document.documentElement.lang, 'html has no lang');
  expect(document.title, 'no title');
  expect(document.querySelector('main'), 'no main');
  for (const table of all('table')) {
    expect(table.caption?.textContent.trim(), 'table without caption');
    expect(table.getAttribute('aria-busy') !== 'true' || !table.querySelector('.player'), 'table still says busy');
  }
  for (const cell of all('th')) expect(cell.scope, `th without scope: ${cell.textContent}`);
  for (const row of all('tbody tr.player')) expect(row.querySelector('th[scope=row]'), 'row without row header');
  for (const button of all('button, a')) {
    expect(button.getAttribute('aria-label') || button.textContent.trim(), `no name: ${button.outerHTML}`);
  }
  for (const image of all('img')) expect(image.hasAttribute('alt'), `no alt: ${image.outerHTML}`);
  expect(document.querySelector('[role=status]')?.textContent.trim(), 'no status with role=status');
  expect(document.querySelector('[aria-live=polite]'), 'no polite live region');
  expect(document.documentElement.scrollWidth <= innerWidth, 'the page scrolls sideways');

  // Any CSS colour becomes numbers by painting one pixel with it.
  const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const painted = (...colours) => {
    pixel.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      pixel.fillStyle = colour;
      pixel.fillRect(0, 0, 1, 1);
    }
    return [...pixel.getImageData(0, 0, 1, 1).data];
  };
  const backgroundsBehind = (element) => {
    const layers = [];
    for (let node = element; node; node = node.parentElement) {
      layers.unshift(getComputedStyle(node).backgroundColor);
      const card = node.querySelector(':scope > td.move');
      if (card) layers.unshift(getComputedStyle(card, '::before').backgroundColor);
    }
    return layers;
  };
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  const texts = 'h1, .summary, .status-word, .status-detail, thead th, .name-text, .score data, .mark, footer span, footer a';
  for (const element of all(texts).filter((candidate) => visible(candidate) && candidate.textContent.trim())) {
    if (element.closest('.visually-hidden')) continue;
    const behind = backgroundsBehind(element);
    const background = painted(...behind);
    // Behind an overlay is somebody else's picture.
    if (background[3] < 255) continue;
    const lights = [luminance(background), luminance(painted(...behind, getComputedStyle(element).color))];
    const contrast = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
    expect(contrast >= LEAST_CONTRAST, `contrast ${contrast.toFixed(2)}: ${element.className || element.tagName}`);
  }
  return [...new Set(faults)];
}
