/** The status of a certificate in words, with a symbol. */

import { html, nothing } from '../../vendor/lit-html.js';
import { text } from '../text.js';
import { badge } from '../ui/notice.js';

/**
 * @typedef {object} Standing
 * @property {import('../types.js').CertificateStatus} status
 * @property {string} expires_on
 * @property {import('../types.js').CertificateLine} [certgate]
 */

/**
 * Returns the status, and whether a renewal replaced the certificate.
 *
 * @param {Standing} certificate
 */
export function standingBadges(certificate) {
  const isReplaced = certificate.certgate?.replaced_by !== undefined;
  return html`<span class="standing">
    ${statusBadge(certificate)} ${isReplaced ? badge('quiet', text.common.replaced) : nothing}
  </span>`;
}

/**
 * Returns true if clients can use a certificate.
 *
 * @param {Standing} certificate
 */
export function works({ status, expires_on: end }) {
  const isValid = status === 'active' || status === 'pending_reactivation';
  return isValid && Date.parse(end) > Date.now();
}

/** @param {Standing} certificate */
export function statusBadge({ status, expires_on: end }) {
  const words = text.common.status;
  switch (status) {
    case 'active':
      return Date.parse(end) < Date.now()
        ? badge('quiet', words.expired)
        : badge('good', words.active);
    case 'revoked':
      return badge('bad', words.revoked);
    default:
      return badge('waiting', words[status]);
  }
}
