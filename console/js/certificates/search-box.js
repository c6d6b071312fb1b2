/**
 * Decides what the text of the search box can mean: a name, an ID, a serial number, a fingerprint
 * or a certificate.
 *
 * @typedef {'begins'|'contains'|'exact'|'id'|'serial'|'fingerprint'|'pasted'} Meaning
 *
 * @typedef {object} Candidate
 * @property {Meaning} meaning
 * @property {string} parameter A filter of the API.
 * @property {string} value
 *
 * @typedef {'privateKey'|'request'|'malformed'|'tooLong'|'star'} Problem
 *
 * @typedef {object} Interpretation
 * @property {Candidate[]} candidates Everything that the text can mean, the likeliest first.
 * @property {Problem} [problem] The reason why the text means nothing.
 * @property {import('../x509.js').Certificate} [certificate] The certificate that was pasted.
 */

import { fromBase64 } from '../requests/pem.js';
import { derOfPem, readCertificate } from '../x509.js';

/** The longest text, in UTF-16 units: a chain of several certificates in PEM is shorter. */
export const TEXT_MAX = 65_536;

/** The longest filter of a name that the API accepts, in octets. */
const NAME_OCTETS_MAX = 1_024;

/** The shortest part inside of names that the API accepts, in characters. */
export const CONTAINS_MIN = 3;

/** The shortest beginning of an ID that the API accepts, in digits. */
const ID_PREFIX_MIN = 6;

const ID_DIGITS = 32;
const FINGERPRINT_DIGITS = 64;

/** The digits of the longest serial number (RFC 5280 §4.1.2.2), 20 octets. */
const SERIAL_HEX_MAX = 40;
const SERIAL_DECIMAL_MAX = 49;

/** The shortest Base64 that is read as a certificate without the lines of PEM. */
const BASE64_MIN = 200;

/**
 * Interprets the text of the search box.
 *
 * @param {string} typed
 * @returns {Interpretation}
 */
export function interpret(typed) {
  if (typed.length > TEXT_MAX) {
    return { candidates: [], problem: 'tooLong' };
  }
  const text = unescaped(typed.trim());
  if (text === '') {
    return { candidates: [] };
  }
  if (/PRIVATE KEY-----/.test(text)) {
    return { candidates: [], problem: 'privateKey' };
  }
  if (/-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.test(text)) {
    return { candidates: [], problem: 'request' };
  }
  const encoded = text.replace(/^:|:$/g, '').replace(/\s/g, '');
  const isBase64 = encoded.length >= BASE64_MIN && /^MI[A-Za-z0-9+/]+=*$/.test(encoded);
  if (/-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(text) || isBase64) {
    return pasted(text, isBase64 ? encoded : null);
  }
  return worded(text);
}

/**
 * nginx ($ssl_client_escaped_cert) and Traefik log PEM with the escapes of URLs.
 *
 * @param {string} text
 */
function unescaped(text) {
  if (!/^-----BEGIN(%20|\+)/.test(text)) {
    return text;
  }
  try {
    return decodeURIComponent(text.replace(/^-----BEGIN\+/, '-----BEGIN '));
  } catch {
    return text;
  }
}

/**
 * A serial number finds a certificate also if its signature was replaced by another valid one,
 * which changes the fingerprint.
 *
 * @param {string} text
 * @param {string | null} encoded
 * @returns {Interpretation}
 */
function pasted(text, encoded) {
  try {
    const der = encoded === null ? derOfPem(text) : fromBase64(encoded);
    if (der !== null) {
      const certificate = readCertificate(der);
      const { serial } = certificate;
      const candidate = { parameter: 'serial_number', value: withColons(serial) };
      return { candidates: [{ meaning: 'pasted', ...candidate }], certificate };
    }
  } catch {
    // The remedy is the same for every defect: copy the certificate again.
  }
  return { candidates: [], problem: 'malformed' };
}

/**
 * Writes colons, so that a number without letters does not also mean a decimal one.
 *
 * @param {string} digits
 */
function withColons(digits) {
  const even = digits.length % 2 === 0 ? digits : `0${digits}`;
  return even.replace(/(..)(?=.)/g, '$1:');
}

/**
 * @param {string} text
 * @returns {Interpretation}
 */
function worded(text) {
  const quoted = /^"(.+)"$/.exec(text);
  if (quoted) {
    return named([['exact', quoted[1] ?? '']]);
  }
  if (text.includes('*')) {
    return pattern(text);
  }
  // openssl prints `serial=` and `sha256 Fingerprint=`.
  const label = /^(serial|serial ?number|sha-?256|(sha-?256 )?fingerprint)\s*[=:]\s*/i.exec(text);
  const value = label ? text.slice(label[0].length) : text;
  const codes = codesOf(value, label !== null);
  /** @type {[Meaning, string][]} */
  const names = [
    ['begins', text],
    ['contains', text],
  ];
  const { candidates, problem } = named(names);
  if (codes.length === 0 || problem) {
    return { candidates: [...codes, ...candidates], problem: codes[0] ? undefined : problem };
  }
  // A short number is more often a part of a name than of an ID.
  const isShort = value.length < ID_DIGITS / 2;
  const begins = candidates.slice(0, 1);
  const contains = candidates.slice(1);
  return {
    candidates: isShort ? [...begins, ...codes, ...contains] : [...codes, ...begins, ...contains],
  };
}

/**
 * @param {string} value
 * @param {boolean} isLabelled
 * @returns {Candidate[]}
 */
function codesOf(value, isLabelled) {
  const separated = /^[0-9a-f]{2}([: ][0-9a-f]{2})+$/i.test(value);
  const digits = separated ? value.replace(/[: ]/g, '') : value;
  if (!/^[0-9a-f]+$/i.test(digits)) {
    return [];
  }
  if (digits.length === FINGERPRINT_DIGITS) {
    const fingerprint = digits.toLowerCase();
    return [{ meaning: 'fingerprint', parameter: 'fingerprint_sha256', value: fingerprint }];
  }
  /** @type {Candidate[]} */
  const codes = [];
  const isId = digits.length >= ID_PREFIX_MIN && digits.length <= ID_DIGITS;
  if (isId && !separated && !isLabelled) {
    codes.push({ meaning: 'id', parameter: 'id.startswith', value: digits.toLowerCase() });
  }
  const isDecimal = /^[0-9]+$/.test(digits) && digits.length <= SERIAL_DECIMAL_MAX;
  if (digits.length <= SERIAL_HEX_MAX || isDecimal) {
    const serial = separated ? value.replaceAll(' ', ':') : digits;
    codes.push({ meaning: 'serial', parameter: 'serial_number', value: serial.toLowerCase() });
  }
  return codes;
}

/**
 * A star at the end or at both ends, as on the command line.
 *
 * @param {string} text
 * @returns {Interpretation}
 */
function pattern(text) {
  const found = /^(\*?)([^*]+)(\*?)$/.exec(text);
  const [, before, part = '', after] = found ?? [];
  if (!found || (before && !after)) {
    return { candidates: [], problem: 'star' };
  }
  return named([[before ? 'contains' : 'begins', part]]);
}

const PARAMETERS = {
  exact: 'common_name',
  begins: 'common_name.startswith',
  contains: 'common_name.contains',
};

/**
 * @param {[Meaning, string][]} meanings
 * @returns {Interpretation}
 */
function named(meanings) {
  /** @type {Candidate[]} */
  const candidates = [];
  for (const [meaning, value] of meanings) {
    if (new TextEncoder().encode(value).length > NAME_OCTETS_MAX) {
      return { candidates: [], problem: 'tooLong' };
    }
    if (meaning === 'contains' && [...value].length < CONTAINS_MIN) {
      continue;
    }
    const parameter = PARAMETERS[/** @type {keyof typeof PARAMETERS} */ (meaning)];
    candidates.push({ meaning, parameter, value });
  }
  return { candidates };
}
