/** A secret that the server shows once. */

import { html } from '../../vendor/lit-html.js';
import { text } from '../text.js';
import { download, fileName } from '../ui/download.js';
import { notice } from '../ui/notice.js';

const t = text.tokens;

/**
 * @typedef {object} Secret
 * @property {string} name The name of the file.
 * @property {string} value
 * @property {boolean} isKept The user has copied or saved it.
 * @property {string} note What the last button did.
 */

/**
 * @param {string} name
 * @param {string} value
 * @returns {Secret}
 */
export function newSecret(name, value) {
  return { name, value, isKept: false, note: '' };
}

/**
 * Shows a secret with buttons to keep it.
 * @param {Secret} secret
 * @param {() => void} changed
 */
export function secretBox(secret, changed) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret.value);
      secret.isKept = true;
      secret.note = text.common.copied;
    } catch {
      secret.note = text.common.copyFailed;
    }
    changed();
  };
  const save = () => {
    download(`${fileName(secret.name)}.token`, 'text/plain', [secret.value, '\n']);
    secret.isKept = true;
    secret.note = t.secretSaved;
    changed();
  };
  return notice(
    secret.isKept ? 'success' : 'warning',
    html`<p>${t.secretOnce}</p>
      <pre class="secret" tabindex="0" aria-label=${t.secret}>${secret.value}</pre>`,
    html`<div class="actions">
      <button type="button" class="primary" @click=${copy}>${t.secretCopy}</button>
      <button type="button" @click=${save}>${t.secretSave}</button>
      <span role="status">${secret.note}</span>
    </div>`,
  );
}
