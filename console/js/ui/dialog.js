/** Native dialogs. Focus returns to where it was when they close. */

import { html, nothing, render } from '../../vendor/lit-html.js';
import { text } from '../text.js';

/**
 * Opens a modal dialog, and resolves when it closes.
 * @template T
 * @param {string} title
 * @param {(close: (value: T | null) => void, redraw: () => void) => unknown} content Returns the
 *   template. `redraw` renders it again.
 * @param {AbortSignal} [signal] Closes the dialog, for example when its page is left.
 * @returns {Promise<T | null>} `null` if the user closed it with Escape.
 */
export function openDialog(title, content, signal) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const dialog = document.createElement('dialog');
    dialog.setAttribute('aria-labelledby', 'dialog-title');
    /** @type {T | null} */
    let result = null;
    /** @param {T | null} value */
    const close = (value) => {
      result = value;
      dialog.close();
    };
    const redraw = () => {
      render(html`<h2 id="dialog-title">${title}</h2>${content(close, redraw)}`, dialog);
    };
    dialog.addEventListener('close', () => {
      dialog.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(result);
    });
    signal?.addEventListener('abort', () => close(null));
    redraw();
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Asks before an action. Resolves to true if the user confirms it.
 * @param {object} options
 * @param {string} options.title
 * @param {unknown} options.body
 * @param {string} options.action The word on the button, such as "Revoke".
 * @param {boolean} [options.isDanger]
 * @param {AbortSignal} [options.signal]
 */
export async function confirm({ title, body, action, isDanger = false, signal }) {
  const answer = await openDialog(
    title,
    (/** @type {(value: boolean | null) => void} */ close) => html`
      <div>${body}</div>
      <div class="actions">
        <button autofocus @click=${() => close(false)}>${text.common.cancel}</button>
        <button class=${isDanger ? 'danger' : 'primary'} @click=${() => close(true)}>
          ${action}
        </button>
      </div>
    `,
    signal,
  );
  return answer === true;
}

/**
 * Shows something to read.
 * @param {string} title
 * @param {unknown} body
 * @param {AbortSignal} [signal]
 */
export async function show(title, body, signal) {
  await openDialog(
    title,
    (close) => html`
      <div>${body ?? nothing}</div>
      <div class="actions"><button @click=${() => close(null)}>${text.common.close}</button></div>
    `,
    signal,
  );
}
