/** Subject alternative names as a person types them: one in each line. */

import { lines } from '../ui/form.js';

/**
 * Reads names such as `a.example.com`, `ops@example.com` or `spiffe://example.com/a`.
 * @param {string} text
 * @returns {import('../requests/pkcs10.js').AlternativeName[]}
 */
export function namesOf(text) {
  return lines(text).map((value) => {
    if (/^[a-z][a-z0-9+.-]*:/i.test(value)) return { kind: 'uri', value };
    return value.includes('@') ? { kind: 'email', value } : { kind: 'dns', value };
  });
}

/**
 * Returns the names that a certificate cannot have: they are IA5Strings (RFC 5280 §4.2.1.6).
 * @param {string} text
 */
export function malformedNames(text) {
  return lines(text).filter((value) => !/^[\x21-\x7e]+$/.test(value));
}
