/** Filters that the user sees and removes one by one. */

import { html, nothing } from '../../vendor/lit-html.js';
import { text } from '../text.js';

/**
 * @typedef {object} Chip
 * @property {string} label Such as "Name contains laptop".
 * @property {() => void} remove
 */

/** @param {readonly Chip[]} list */
export function chips(list) {
  if (list.length === 0) return nothing;
  return html`<ul class="chips" aria-label=${text.common.filters}>
    ${list.map(
      ({ label, remove }) =>
        html`<li class="chip">
          <bdi>${label}</bdi>
          <button class="quiet" aria-label=${text.common.removeFilter(label)} @click=${remove}>
            <span aria-hidden="true">✕</span>
          </button>
        </li>`,
    )}
  </ul>`;
}
