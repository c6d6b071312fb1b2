/** The progress of work with a known number of steps. */

import { html } from '../../vendor/lit-html.js';
import { text } from '../text.js';

/**
 * @param {object} options
 * @param {string} options.label
 * @param {number} options.done
 * @param {number} options.all
 */
export function progress({ label, done, all }) {
  return html`<label class="progress">
    <span>${label}</span>
    <progress max=${Math.max(all, 1)} .value=${done}></progress>
    <span class="number">${text.common.progress(done, all)}</span>
  </label>`;
}
