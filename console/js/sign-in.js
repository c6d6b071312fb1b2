/** The form that asks for a token. */

import { html, nothing, render } from '../vendor/lit-html.js';
import { ApiError } from './api.js';
import { text } from './text.js';
import { command } from './ui/copy.js';
import { errorNotice, notice } from './ui/notice.js';

/** The longest text that is sent as a token, in characters. */
const TOKEN_CHARACTERS_MAX = 512;

/** The error code of a header that cannot be read. */
const MALFORMED_CODE = 6003;

/** @param {import('./session.js').Session} session */
export function signIn(session) {
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const field = /** @type {HTMLInputElement} */ (form.elements.namedItem('token'));
    const remember = /** @type {HTMLInputElement} */ (form.elements.namedItem('remember'));
    const button = /** @type {HTMLButtonElement} */ (form.querySelector('button'));
    const report = /** @type {HTMLElement} */ (form.querySelector('.report'));
    const token = field.value.trim().replace(/^Bearer\s+/i, '');
    const problem = problemOf(token);
    if (problem) {
      render(notice('error', problem), report);
      field.focus();
      return;
    }
    button.disabled = true;
    render(nothing, report);
    try {
      await session.signIn(token, remember.checked);
    } catch (error) {
      render(failed(error), report);
      field.focus();
    } finally {
      button.disabled = false;
    }
  };
  return html`
    <main class="sign-in">
      <div id="banner" role="status"></div>
      <h1 id="heading" tabindex="-1">${text.signIn.title}</h1>
      ${session.ended ? notice('warning', session.ended) : nothing}
      <form @submit=${submit} novalidate>
        <label for="token">${text.signIn.token}</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="off"
          autocapitalize="none"
          spellcheck="false"
          aria-describedby="token-hint"
          autofocus
        />
        <p id="token-hint" class="hint">${text.signIn.hint}</p>
        <label class="check">
          <input name="remember" type="checkbox" />
          <span>${text.signIn.remember}</span>
        </label>
        <div class="report" role="alert"></div>
        <button class="primary" type="submit">${text.signIn.action}</button>
      </form>
      <details>
        <summary>${text.signIn.noToken}</summary>
        <p>${text.signIn.noTokenFirst}</p>
        <p>${text.signIn.noTokenHow}</p>
        ${command(text.signIn.commandLabel, 'certgate token create console --offline --expires 8h')}
      </details>
    </main>
  `;
}

/**
 * Says what happened: only some errors are about the token.
 * @param {unknown} error
 */
function failed(error) {
  if (!(error instanceof ApiError)) return errorNotice(error);
  if (error.status === 401 || error.status === 403) {
    return notice('error', text.signIn.refused(error.message));
  }
  if (error.code === MALFORMED_CODE) return notice('error', text.signIn.notAToken);
  return html`${notice('error', text.signIn.failed)} ${errorNotice(error)}`;
}

/** @param {string} token */
function problemOf(token) {
  if (token === '') return text.signIn.empty;
  if (token.length > TOKEN_CHARACTERS_MAX) return text.signIn.tooLong(TOKEN_CHARACTERS_MAX);
  // A header cannot hold anything else, and the token of certgate has letters and digits only.
  if (!/^[\x21-\x7e]+$/.test(token)) return text.signIn.notAToken;
  return '';
}
