/** Boxes with a message, and the states of a list: empty, loading, failed. */

import { html, nothing } from '../../vendor/lit-html.js';
import { ApiError } from '../api.js';
import { text } from '../text.js';

/** A symbol before the words, so that the kind is not a colour alone. */
const SYMBOLS = { error: '✖', warning: '⚠', info: 'ℹ', success: '✔' };

/**
 * @param {'error' | 'warning' | 'info' | 'success'} kind
 * @param {unknown} body A sentence or a template.
 * @param {unknown} [actions] Buttons or links.
 */
export function notice(kind, body, actions = nothing) {
  return html`<div class="notice ${kind}">
    <span class="symbol" aria-hidden="true">${SYMBOLS[kind]}</span>
    <div>${body} ${actions}</div>
  </div>`;
}

/**
 * The error of a request: its message, which says what to do, and its number for the documentation.
 * @param {unknown} error
 * @param {unknown} [actions]
 */
export function errorNotice(error, actions = nothing) {
  if (!(error instanceof ApiError)) {
    return notice('error', error instanceof Error ? error.message : String(error), actions);
  }
  const url = error.errors[0]?.documentation_url;
  const details = [
    error.code ? text.shell.errorCode(error.code) : '',
    error.requestId && error.status >= 500 ? text.shell.errorRequest(error.requestId) : '',
  ].filter(Boolean);
  const body = html`<p>${error.message}</p>
    <p class="hint">
      ${details.join(', ')}
      ${url && /^https?:/.test(url)
        ? html`<a href=${url} target="_blank" rel="noopener noreferrer">${text.shell.errorHelp}</a>`
        : nothing}
    </p>`;
  return notice('error', body, actions);
}

export function loading() {
  return html`<p class="loading" role="status">${text.common.loading}</p>`;
}

/**
 * The place of a list without entries.
 * @param {string} title
 * @param {unknown} [body]
 */
export function empty(title, body = nothing) {
  return html`<div class="empty"><p><strong>${title}</strong></p>${body}</div>`;
}

/**
 * A status with a symbol and a word.
 * @param {'good' | 'bad' | 'waiting' | 'quiet'} kind
 * @param {string} word
 */
export function badge(kind, word) {
  const symbol = { good: '●', bad: '✖', waiting: '◔', quiet: '○' }[kind];
  return html`<span class="badge ${kind}"
    ><span aria-hidden="true">${symbol}</span> ${word}</span
  >`;
}
