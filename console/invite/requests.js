// The requests of this page. The secret is in their bodies only.

/**
 * @typedef {object} Enrol The server that shows that a certificate works, and renews it.
 * @property {string} est The address of EST for the zone.
 * @property {string} works The page that shows the certificate of the browser.
 * @property {string} fingerprint SHA-256 of the server's certificate, hexadecimal.
 *
 * @typedef {object} Details
 * @property {string} name The common name of the certificate.
 * @property {string} device
 * @property {string} zone
 * @property {string} account The name of the account of the zone.
 * @property {string | null} invited_by
 * @property {'open' | 'used' | 'expired' | 'withdrawn' | 'locked'} state
 * @property {string} expires_on
 * @property {number} uses_left
 * @property {string} key_type The type of a key that the rules of the zone accept.
 * @property {Enrol | null} enrol
 *
 * @typedef {object} MadeFile A file that the server keeps for some minutes.
 * @property {string} path
 * @property {string} password Of the key in the file. No other answer has it.
 * @property {number} seconds The time for which the server keeps the file.
 *
 * @typedef {object} Issued
 * @property {string} certificate PEM.
 * @property {string} chain The certificates of the CAs, PEM.
 */

/** An answer that is not a success. Its message says what to do. */
export class Refused extends Error {}

/**
 * @param {string} operation The last part of the path.
 * @param {Record<string, string>} body
 */
async function post(operation, body) {
  let response;
  try {
    response = await fetch(`${location.pathname.replace(/\/+$/, '')}/${operation}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      credentials: 'omit',
    });
  } catch {
    throw new Refused('No connection to the server: check the network and try again.');
  }
  const text = await response.text();
  if (!response.ok) {
    throw new Refused(text.trim() || `The server answered ${response.status}.`);
  }
  return JSON.parse(text);
}

/**
 * Returns what the invite offers. It stays as it is.
 * @param {string} secret
 * @returns {Promise<Details>}
 */
export function open(secret) {
  return post('open', { secret });
}

/**
 * Uses the invite for a key that the server makes.
 * @param {string} secret
 * @param {string} form
 * @returns {Promise<MadeFile>}
 */
export function makeFile(secret, form) {
  return post('file', { secret, form });
}

/**
 * Uses the invite for a key of this browser.
 * @param {string} secret
 * @param {string} csr PEM.
 * @returns {Promise<Issued>}
 */
export function certify(secret, csr) {
  return post('certificate', { secret, csr });
}
