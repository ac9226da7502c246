/**
 * Drives the real page in headless Chromium for the end-to-end tests: one JSON command per line on stdin, one JSON
 * answer per line on stdout. The commands stand in `commands` below.
 *
 * Environment: BASE_URL; CHROMIUM (default /usr/bin/chromium); SCREENSHOT_DIR (default: no screenshots).
 *
 * The first line is the answer to an implied `{"cmd":"open"}`. An answer is `{"cmd","ok":true}` or `{"cmd","ok":false,
 * "error","actual"?}`. Any console error, uncaught exception or CSP violation makes this and every later answer fail,
 * with the texts in `problems`; only network errors during an announced outage are expected.
 */
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { accessibilityFaults, foreignElements, readPlain, readRows, readStatus } from './inspect.mjs';

const BASE_URL = process.env.BASE_URL;
const SCREENSHOT_DIR = process.env.SCREENSHOT_DIR;
const PLAIN_PAGE = pathToFileURL(join(import.meta.dirname, 'plain.html'));
const DEFAULT_TIMEOUT_MS = 5_000;
const POLL_MS = 50;
const NETWORK_ERROR = /^(WebSocket connection to|Failed to load resource)/;

const problems = [];
let outage = false;
let context;
let page;
let plainPage;
let shutDown = async () => {};

class Failed extends Error {
  constructor(message, actual) {
    super(message);
    this.actual = actual;
  }
}

const commands = {
  /** Sent by nobody: what happens at the start. */
  async open() {
    await page.goto(BASE_URL);
  },

  /** {path}: opens another page of the same server. */
  async goto({ path }) {
    await page.goto(new URL(path, BASE_URL).href);
  },

  async reload() {
    await page.reload();
  },

  /** {rows: [{rank?, name?, score?}], exactly?}: the first rows on the screen; `exactly`: and there are no more. */
  async expect_rows({ rows, exactly = false, timeout_ms }) {
    await until(timeout_ms, () => page.evaluate(readRows), (actual) => {
      const counts = exactly ? actual.length === rows.length : actual.length >= rows.length;
      return counts && rows.every((row, index) => matches(row, actual[index]));
    });
  },

  /** {status}: live, delayed, reconnecting or stale. A live page ends an outage. */
  async expect_status({ status, timeout_ms }) {
    await until(timeout_ms, () => page.evaluate(readStatus), (actual) => actual.state === status);
    if (status === 'live') outage = false;
  },

  /** {selector, contains}: some text that is visible. */
  async expect_text({ selector, contains, timeout_ms }) {
    const read = () => page.locator(selector).filter({ visible: true }).allInnerTexts();
    await until(timeout_ms, read, (texts) => texts.some((text) => text.includes(contains)));
  },

  /** No name became markup. */
  async expect_no_html() {
    const found = await page.evaluate(foreignElements);
    if (found.length > 0) throw new Failed('elements that do not belong into the board', found);
  },

  async a11y() {
    const faults = await page.evaluate(accessibilityFaults);
    if (faults.length > 0) throw new Failed('accessibility faults', faults);
  },

  /** {name, width?, height?, dark?, transparent?}: a PNG in SCREENSHOT_DIR. */
  async screenshot({ name, width = 1200, height = 800, dark = false, transparent = false }) {
    if (!SCREENSHOT_DIR) throw new Failed('SCREENSHOT_DIR is not set');
    await mkdir(SCREENSHOT_DIR, { recursive: true });
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
    const path = join(SCREENSHOT_DIR, basename(name));
    await page.screenshot({ path, animations: 'disabled', omitBackground: transparent });
  },

  /** {on}: takes the network from the browser and gives it back. */
  async offline({ on }) {
    if (on) outage = true;
    await context.setOffline(on);
  },

  /** Announces that the server is about to go away; it ends with the next `expect_status` live. */
  async outage() {
    outage = true;
  },

  /** {ws}: opens, from the file system, a page that knows the two plain members only. */
  async plain({ ws }) {
    plainPage ??= await context.newPage();
    await plainPage.goto(`${PLAIN_PAGE}?ws=${encodeURIComponent(ws)}`);
  },

  /** {first: {rank?, name?, score?}} */
  async expect_plain({ first, timeout_ms }) {
    await until(timeout_ms, () => plainPage.evaluate(readPlain), ([actual]) => matches(first, actual));
  },

  async close() {
    await shutDown();
  },
};

/** @returns {boolean} whether every member that is expected has this value; numbers are compared as numbers */
function matches(expected, actual) {
  return actual !== undefined && Object.entries(expected).every(([member, value]) => {
    const same = member === 'name' ? (a, b) => a === b : (a, b) => Number(a) === Number(b);
    return same(value, actual[member]);
  });
}

async function until(timeoutMs = DEFAULT_TIMEOUT_MS, read, isGood) {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const actual = await read();
    if (isGood(actual)) return;
    if (performance.now() > deadline) throw new Failed(`not seen within ${timeoutMs} ms`, actual);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function watch(newPage) {
  newPage.on('pageerror', (error) => problems.push(`uncaught: ${error.message}`));
  newPage.on('console', (message) => {
    if (message.type() !== 'error' || (outage && NETWORK_ERROR.test(message.text()))) return;
    problems.push(`console: ${message.text()} (${message.location().url})`);
  });
}

async function launch() {
  const profile = await mkdtemp(join(tmpdir(), 'rankstream-browser-'));
  const args = [
    '--headless=new',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ];
  // Chromium's sandbox refuses to run as root, which is who one is in many containers.
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  const removeProfile = () => rm(profile, { recursive: true, force: true, maxRetries: 5 });
  try {
    context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args,
      headless: true,
      locale: 'en-US',
      viewport: { width: 1200, height: 800 },
    });
  } catch (error) {
    await removeProfile();
    throw error;
  }
  context.on('close', () => (context = null));
  shutDown = async () => {
    await context?.close();
    await removeProfile();
  };

  context.on('page', watch);
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (violation) => {
      console.error(`CSP violation: ${violation.violatedDirective} ${violation.blockedURI}`);
    });
  });
  page = context.pages()[0] ?? (await context.newPage());
  watch(page);
}

async function run(command) {
  const answer = { cmd: command.cmd, ok: true };
  try {
    if (!Object.hasOwn(commands, command.cmd)) throw new Failed('no such command');
    await commands[command.cmd](command);
  } catch (error) {
    Object.assign(answer, { ok: false, error: firstLine(error), actual: error.actual });
  }
  if (problems.length > 0) Object.assign(answer, { ok: false, error: answer.error ?? 'the page has problems', problems });
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  return answer.ok;
}

const firstLine = (error) => error.message.split('\n', 1)[0];

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return { cmd: line };
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => shutDown().finally(() => process.exit(1)));
}

let allGood = true;
try {
  if (!BASE_URL) throw new Error('BASE_URL is not set');
  await launch();
  allGood = await run({ cmd: 'open' });
  for await (const line of createInterface({ input: process.stdin })) {
    const command = parse(line);
    allGood = (await run(command)) && allGood;
    if (command.cmd === 'close') break;
  }
} catch (error) {
  allGood = false;
  process.stdout.write(`${JSON.stringify({ cmd: 'open', ok: false, error: firstLine(error) })}\n`);
} finally {
  await shutDown();
}
process.exit(allGood ? 0 : 1);
