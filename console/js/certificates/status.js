/** The status of a certificate in words, with a symbol. */

import { text } from '../text.js';
import { badge } from '../ui/notice.js';

/** @param {{ status: import('../types.js').CertificateStatus, expires_on: string }} certificate */
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
