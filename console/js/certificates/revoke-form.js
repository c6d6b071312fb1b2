/** The choice of the reason of a revocation, in everyday words. */

import { html } from '../../vendor/lit-html.js';
import { text } from '../text.js';
import { CHOICES, isFinal } from './reasons.js';

const words = text.certificate;

/**
 * The list of reasons. Says of each if the revocation can be undone.
 *
 * @param {string} chosen The word of the present choice.
 * @param {(word: string) => void} choose
 * @param {boolean} [onlyFinal] For a certificate on hold.
 */
export function reasonFields(chosen, choose, onlyFinal = false) {
  const choices = CHOICES.filter(({ reason }) => !onlyFinal || isFinal(reason));
  return html`<fieldset class="reasons">
    <legend>${words.why}</legend>
    ${choices.map(
      ({ word, reason }) =>
        html`<label class="reason">
          <input
            type="radio"
            name="reason"
            value=${word}
            .checked=${word === chosen}
            @change=${() => choose(word)}
          />
          <span>
            <strong>${words.reasons[word]?.label}</strong>
            <span class="hint">${words.reasons[word]?.hint}</span>
            <span class="hint consequence">
              <code>${reason}</code> · ${isFinal(reason) ? words.isFinal : words.canBeUndone}
            </span>
          </span>
        </label>`,
    )}
  </fieldset>`;
}

/**
 * Says before the action if it can be undone.
 *
 * @param {string} reason
 */
export function consequence(reason) {
  return isFinal(reason)
    ? html`<p class="consequence final">
        <span aria-hidden="true">⚠</span> ${words.finalBefore}
      </p>`
    : html`<p class="consequence"><span aria-hidden="true">↶</span> ${words.undoBefore}</p>`;
}
