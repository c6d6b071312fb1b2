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
 * @property {Words} words
 *
 * @typedef {object} Words
 * @property {string} once Says that the server shows it once.
 * @property {string} label
 * @property {string} copy The word of the button.
 * @property {string} extension Of the file.
 */

/** @type {Words} */
const OF_TOKEN = {
  once: t.secretOnce,
  label: t.secret,
  copy: t.secretCopy,
  extension: 'token',
};

/**
 * @param {string} name
 * @param {string} value
 * @param {Words} [words] Default: those of a token.
 * @returns {Secret}
 */
export function newSecret(name, value, words = OF_TOKEN) {
  return { name, value, isKept: false, note: '', words };
}

/**
 * Shows a secret with buttons to keep it.
 * @param {Secret} secret
 * @param {() => void} changed
 */
export function secretBox(secret, changed) {
  const { words } = secret;
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
    const name = `${fileName(secret.name)}.${words.extension}`;
    download(name, 'text/plain', [secret.value, '\n']);
    secret.isKept = true;
    secret.note = t.secretSaved;
    changed();
  };
  return notice(
    secret.isKept ? 'success' : 'warning',
    html`<p>${words.once}</p>
      <pre class="secret" tabindex="0" aria-label=${words.label}>${secret.value}</pre>`,
    html`<div class="actions">
      <button type="button" class="primary" @click=${copy}>${words.copy}</button>
      <button type="button" @click=${save}>${t.secretSave}</button>
      <span role="status">${secret.note}</span>
    </div>`,
  );
}
