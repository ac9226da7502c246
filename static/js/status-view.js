/**
 * The status pill: a word for the state, and beside it why, and how old the data is.
 *
 * Only the word is in the live region, so that a screen reader hears changes of state and not every second.
 */
import { latencyText, spanText } from './numbers.js';

const WORDS = { live: 'Live', delayed: 'Delayed', reconnecting: 'Reconnecting', stale: 'Stale' };

/**
 * @param {import('./liveness.js').Verdict} verdict
 * @param {{ageMs: number | null, pipelineMs: number | null}} data age of the rows shown
 * @returns {{word: string, detail: string}}
 */
export function describe({ state, reason, silentMs, retryInMs }, { ageMs, pipelineMs }) {
  const age = ageMs === null ? null : ageMs < 1_000 ? 'updated just now' : `updated ${spanText(ageMs)} ago`;
  const nextTry = retryInMs === null ? null : `next try in ${Math.ceil(retryInMs / 1_000)} s`;
  const why = {
    slow: pipelineMs === null ? 'events are late' : `events take ${latencyText(pipelineMs)}`,
    rebuilding: 'rebuilding',
    'not-ready': 'server not ready',
    unconfirmed: 'checking the connection',
    silent: Number.isFinite(silentMs) ? `no contact for ${spanText(silentMs)}` : 'no contact',
  }[reason];
  const connecting = reason === 'connecting' && state === 'reconnecting';
  return {
    word: connecting ? 'Connecting' : WORDS[state],
    detail: [why, nextTry, age].filter(Boolean).join(' · '),
  };
}

/**
 * @param {HTMLElement} pill holds `.status-word` (the live region) and `.status-detail`
 * @returns {(verdict: import('./liveness.js').Verdict, data: {ageMs: number | null, pipelineMs: number | null}) => void}
 */
export function createStatusView(pill) {
  const word = pill.querySelector('.status-word');
  const detail = pill.querySelector('.status-detail');
  return (verdict, data) => {
    const text = describe(verdict, data);
    document.documentElement.dataset.status = verdict.state;
    setText(word, text.word);
    setText(detail, text.detail);
  };
}

/** Setting an equal text would still be a change to a live region. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
