// PEM (RFC 7468) and Base64.

/**
 * Writes a PEM block with lines of 64 characters and a final line end.
 * @param {string} label such as `CERTIFICATE REQUEST`
 * @param {Uint8Array} octets
 * @returns {string}
 */
export function pem(label, octets) {
  const lines = base64(octets).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/**
 * @param {Uint8Array} octets
 * @returns {string}
 */
export function base64(octets) {
  return btoa(Array.from(octets, (octet) => String.fromCharCode(octet)).join(''));
}

/**
 * Reads Base64, with any white space in it. `null` for any other text.
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer> | null}
 */
export function fromBase64(text) {
  const digits = text.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(digits)) {
    return null;
  }
  try {
    return Uint8Array.from(atob(digits), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}

/**
 * A PEM block: its label and its content, `null` if that is not Base64.
 * @typedef {{label: string, octets: Uint8Array<ArrayBuffer> | null}} PemBlock
 */

/**
 * Finds the PEM blocks of a text. Lines may end with the two characters `\` and `n`, as in JSON.
 * @param {string} text
 * @returns {PemBlock[]}
 */
export function pemBlocks(text) {
  const lines = text.replace(/\\r/g, '').replace(/\\n/g, '\n');
  const blocks = [];
  for (const found of lines.matchAll(/-----BEGIN ([^\n\r-]{1,64})-----([^]*?)-----END \1-----/g)) {
    const [, label = '', body = ''] = found;
    // Headers (RFC 1421 §4.4) end with an empty line.
    const encoded = body.includes(':') ? body.replace(/^[^]*?\n\s*\n/, '') : body;
    blocks.push({ label, octets: fromBase64(encoded) });
  }
  return blocks;
}

/**
 * @param {Uint8Array | ArrayBuffer} octets
 * @returns {string} lower-case hexadecimal digits
 */
export function hex(octets) {
  const view = octets instanceof ArrayBuffer ? new Uint8Array(octets) : octets;
  return Array.from(view, (octet) => octet.toString(16).padStart(2, '0')).join('');
}

/**
 * @param {string} digits hexadecimal digits
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function fromHex(digits) {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
