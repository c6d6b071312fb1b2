/** Names of certificates, which an attacker may have chosen. They never change the text around. */

import { html, nothing } from '../../vendor/lit-html.js';
import { text } from '../text.js';

/** The characters of a name that a list shows. The rest is shown on demand. */
const SHOWN_MAX = 80;

/**
 * Characters without a form of their own: controls, format characters such as bidirectional
 * controls and zero-width ones, unpaired surrogates, private use, line separators, and spaces other
 * than U+0020.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

/**
 * Returns the text with an escape such as `\u{202e}` for each character without a form of its own.
 * @param {string} value
 */
export function visible(value) {
  return value.replace(HIDDEN, (character) => {
    return `\\u{${character.codePointAt(0)?.toString(16).padStart(4, '0')}}`;
  });
}

/**
 * Any text from outside: isolated from the direction of the text around it.
 * @param {string} value
 * @param {number} [shownMax]
 */
export function foreign(value, shownMax = SHOWN_MAX) {
  const characters = [...visible(value)];
  if (characters.length <= shownMax) return html`<bdi class="foreign">${characters.join('')}</bdi>`;
  const start = characters.slice(0, shownMax).join('');
  return html`<details class="long">
    <summary>
      <bdi class="foreign">${start}…</bdi><span class="unseen">${text.common.showAll}</span>
    </summary>
    <bdi class="foreign">${characters.join('')}</bdi>
  </details>`;
}

/**
 * The common name of a certificate, or its replacement.
 * @param {{ common_name: string, id: string }} certificate
 * @param {string} [href] Makes it a link.
 */
export function certificateName({ common_name: name, id }, href) {
  const characters = [...visible(name)];
  const isLong = characters.length > SHOWN_MAX;
  const shown = isLong ? `${characters.slice(0, SHOWN_MAX).join('')}…` : characters.join('');
  const title = isLong ? characters.join('') : nothing;
  const label = name
    ? html`<bdi class="foreign">${shown}</bdi>`
    : html`<span class="quiet-text">${text.common.noName} ${id.slice(0, 8)}</span>`;
  return href
    ? html`<a href=${href} title=${title}>${label}</a>`
    : html`<span title=${title}>${label}</span>`;
}
