/** Texts to copy: commands, PEM, identifiers. */

import { html, nothing } from '../../vendor/lit-html.js';
import { text } from '../text.js';

/** The time that the button says that the text was copied, in milliseconds. */
const COPIED_MS = 2000;

/**
 * A button that copies the text.
 * @param {string} value
 * @param {string} [label] For screen readers, such as "Copy the serial number".
 */
export function copyButton(value, label = text.common.copy) {
  /** @param {Event} event */
  const copy = async (event) => {
    const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
    let words = text.common.copied;
    try {
      await navigator.clipboard.writeText(value);
    } catch {
      // The browser offers the clipboard on HTTPS and localhost only, and the user may refuse it.
      words = text.common.copyFailed;
    }
    const shown = /** @type {HTMLElement} */ (button.querySelector('span'));
    shown.textContent = words;
    setTimeout(() => {
      shown.textContent = text.common.copy;
    }, COPIED_MS);
  };
  return html`<button class="copy quiet" type="button" aria-label=${label} @click=${copy}>
    <span aria-live="polite">${text.common.copy}</span>
  </button>`;
}

/**
 * A command or another text of fixed width with a button that copies it.
 * @param {string} label Says what the text is.
 * @param {string} value
 */
export function command(label, value) {
  return html`<div class="command" role="group" aria-label=${label}>
    <pre tabindex="0" aria-label=${label}>${value}</pre>
    ${copyButton(value)}
  </div>`;
}

/**
 * The two commands that do the same as an action of the console.
 * @param {string} summary Such as "The same on the command line".
 * @param {string} curl From `api.curl`.
 * @param {string} [certgate] Absent: the command line has no such command.
 */
export function equivalents(summary, curl, certgate) {
  return html`<details class="equivalents">
    <summary>${summary}</summary>
    ${certgate ? command(text.common.cli, certgate) : nothing} ${command(text.common.curl, curl)}
  </details>`;
}
