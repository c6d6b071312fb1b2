/** Dialogs with a form. An error of the server stays in the dialog, with all that was typed. */

import { html, nothing } from '../../vendor/lit-html.js';
import { text } from '../text.js';
import { openDialog } from './dialog.js';
import { errorNotice } from './notice.js';

/**
 * Opens a dialog with a form, and resolves to the result of `submit`, or to `null` if the user
 * cancels.
 * @template T
 * @param {object} options
 * @param {string} options.title
 * @param {Record<string, any>} options.values
 * @param {(form: import('./form.js').Form) => unknown} options.body
 * @param {string} options.action The word on the button.
 * @param {boolean} [options.isDanger]
 * @param {(values: Record<string, any>) => boolean} [options.isReady] False disables the button.
 * @param {(values: Record<string, any>) => Promise<T>} options.submit
 * @param {(redraw: () => void) => void} [options.opened] Gets a function that renders again.
 * @param {AbortSignal} signal
 * @returns {Promise<T | null>}
 */
export function formDialog(options, signal) {
  const { title, values, body, action, isDanger = false, isReady, submit, opened } = options;
  /** @type {unknown} */
  let error = null;
  let isBusy = false;
  let isFirst = true;
  return openDialog(
    title,
    (/** @type {(value: T | null) => void} */ close, redraw) => {
      if (isFirst) {
        isFirst = false;
        opened?.(redraw);
      }
      /** @param {Event} event */
      const send = async (event) => {
        event.preventDefault();
        if (isBusy) return;
        isBusy = true;
        error = null;
        redraw();
        try {
          close(await submit(values));
        } catch (failure) {
          if (signal.aborted) return;
          isBusy = false;
          error = failure;
          redraw();
        }
      };
      const isOff = isBusy || isReady?.(values) === false;
      return html`<form class="in-dialog" @submit=${send}>
        ${body({ values, changed: redraw })}
        <div role="alert">${error === null ? nothing : errorNotice(error)}</div>
        <div class="actions">
          <button type="button" ?autofocus=${isDanger} @click=${() => close(null)}>
            ${text.common.cancel}
          </button>
          <button type="submit" class=${isDanger ? 'danger' : 'primary'} ?disabled=${isOff}>
            ${isBusy ? text.common.loading : action}
          </button>
        </div>
      </form>`;
    },
    signal,
  );
}
