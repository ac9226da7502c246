/**
 * Dark or light: the system's wish, unless the reader chose otherwise.
 */

const KEY = 'rankstream.theme';
const systemIsDark = matchMedia('(prefers-color-scheme: dark)');
const systemTheme = () => (systemIsDark.matches ? 'dark' : 'light');

/** @returns {'dark' | 'light' | null} */
function storedChoice() {
  try {
    const choice = localStorage.getItem(KEY);
    return choice === 'dark' || choice === 'light' ? choice : null;
  } catch {
    return null;
  }
}

/** A choice equal to the system's wish is not stored, so that the page follows the system again. */
function store(theme) {
  try {
    if (theme === systemTheme()) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // The choice then lasts until the next reload.
  }
}

/**
 * Shows the stored theme and lets a button change it.
 *
 * @param {HTMLElement} root carries `data-theme`
 * @param {HTMLButtonElement} button
 */
export function startTheme(root, button) {
  let theme;

  function show(next) {
    theme = next;
    root.dataset.theme = theme;
    const other = theme === 'dark' ? 'light' : 'dark';
    button.setAttribute('aria-label', `Switch to the ${other} theme`);
    button.title = `Switch to the ${other} theme`;
  }

  show(storedChoice() ?? systemTheme());
  systemIsDark.addEventListener('change', () => show(storedChoice() ?? systemTheme()));
  button.addEventListener('click', () => {
    show(theme === 'dark' ? 'light' : 'dark');
    store(theme);
  });
}
