/**
 * Reads X.509 certificates (RFC 5280), to show what is in them. It judges nothing.
 */

import { Cursor, NotDer, oidText, textOf } from './requests/der.js';
import { hex, pemBlocks } from './requests/pem.js';

const CONTEXT_0 = 0xa0;
const CONTEXT_3 = 0xa3;

/** RFC 4514 §3 and RFC 5280 Appendix A. */
const ATTRIBUTES = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.4', 'SN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'street'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.12', 'title'],
  ['2.5.4.42', 'GN'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
]);

const KEYS = new Map([
  ['1.2.840.113549.1.1.1', 'RSA'],
  ['1.2.840.113549.1.1.10', 'RSASSA-PSS'],
  ['1.2.840.10045.2.1', 'EC'],
  ['1.3.101.112', 'Ed25519'],
  ['1.3.101.113', 'Ed448'],
]);

const CURVES = new Map([
  ['1.2.840.10045.3.1.7', 'P-256'],
  ['1.3.132.0.34', 'P-384'],
  ['1.3.132.0.35', 'P-521'],
]);

const EXTENSIONS = new Map([
  ['2.5.29.14', 'subjectKeyIdentifier'],
  ['2.5.29.15', 'keyUsage'],
  ['2.5.29.17', 'subjectAltName'],
  ['2.5.29.19', 'basicConstraints'],
  ['2.5.29.31', 'cRLDistributionPoints'],
  ['2.5.29.32', 'certificatePolicies'],
  ['2.5.29.35', 'authorityKeyIdentifier'],
  ['2.5.29.37', 'extKeyUsage'],
  ['1.3.6.1.5.5.7.1.1', 'authorityInfoAccess'],
]);

const PURPOSES = new Map([
  ['1.3.6.1.5.5.7.3.1', 'serverAuth'],
  ['1.3.6.1.5.5.7.3.2', 'clientAuth'],
  ['1.3.6.1.5.5.7.3.3', 'codeSigning'],
  ['1.3.6.1.5.5.7.3.4', 'emailProtection'],
  ['1.3.6.1.5.5.7.3.8', 'timeStamping'],
  ['1.3.6.1.5.5.7.3.9', 'OCSPSigning'],
  ['2.5.29.37.0', 'anyExtendedKeyUsage'],
]);

const METHODS = new Map([
  ['1.3.6.1.5.5.7.48.1', 'OCSP'],
  ['1.3.6.1.5.5.7.48.2', 'caIssuers'],
]);

/** In the order of the bits (RFC 5280 §4.2.1.3). */
const USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
];

/**
 * @typedef {object} Extension
 * @property {string} name Of RFC 5280, or the object identifier.
 * @property {boolean} critical
 * @property {string[]} values
 *
 * @typedef {object} Certificate
 * @property {Uint8Array} signed The part that the CA has signed.
 * @property {string} serial In hexadecimal, without the sign octet.
 * @property {string} issuer A distinguished name as in RFC 4514, in the order of the certificate.
 * @property {string} subject
 * @property {string} key
 * @property {Extension[]} extensions
 */

/**
 * Returns the DER of the first certificate in PEM text; null without one.
 *
 * @param {string} pem
 */
export function derOfPem(pem) {
  const isCertificate = (/** @type {string} */ label) =>
    /^(X509 |TRUSTED )?CERTIFICATE$/.test(label);
  return pemBlocks(pem).find(({ label }) => isCertificate(label))?.octets ?? null;
}

/**
 * @param {Uint8Array} der
 * @returns {Certificate}
 */
export function readCertificate(der) {
  const [signed] = readAll(readOne(der).content);
  const fields = readAll(signed?.content ?? new Uint8Array());
  if (fields[0]?.tag === CONTEXT_0) {
    fields.shift();
  }
  const [serial, , issuer, , subject, key, ...others] = fields;
  if (!signed || !serial || !issuer || !subject || !key) {
    throw new NotDer();
  }
  const extensions = others.find((field) => field.tag === CONTEXT_3);
  return {
    signed: signed.raw,
    serial: hex(serial.content).replace(/^(00)+(?=.)/, ''),
    issuer: nameOf(issuer.content),
    subject: nameOf(subject.content),
    key: keyOf(key.content),
    extensions: extensions ? readAll(readOne(extensions.content).content).map(extensionOf) : [],
  };
}

/**
 * Returns true if both are the same certificate. The signature is not compared: everyone can
 * replace an ECDSA signature by another valid one.
 *
 * @param {Certificate} one
 * @param {Certificate} other
 */
export function isSame(one, other) {
  const { signed } = one;
  return (
    signed.length === other.signed.length &&
    signed.every((octet, index) => octet === other.signed[index])
  );
}

/**
 * Reads the values that follow each other.
 *
 * @param {Uint8Array} octets
 */
function readAll(octets) {
  const cursor = new Cursor(octets);
  const values = [];
  while (!cursor.isEmpty) {
    values.push(cursor.any());
  }
  return values;
}

/** @param {Uint8Array} octets */
function readOne(octets) {
  const cursor = new Cursor(octets);
  const value = cursor.any();
  cursor.end();
  return value;
}

/** @param {Uint8Array} octets */
function withColons(octets) {
  return hex(octets).replace(/(..)(?=.)/g, '$1:');
}

/** @param {Uint8Array} content */
function nameOf(content) {
  const parts = readAll(content).map((set) =>
    readAll(set.content)
      .map((attribute) => {
        const cursor = new Cursor(attribute.content);
        const type = cursor.oid();
        const value = cursor.any();
        const shown = textOf(value) ?? `#${hex(value.raw)}`;
        return `${ATTRIBUTES.get(type) ?? type}=${escaped(shown)}`;
      })
      .join('+'),
  );
  return parts.join(', ');
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[,+"\\<>;]|^ | $/g, '\\$&');
}

/** @param {Uint8Array} content */
function keyOf(content) {
  const cursor = new Cursor(content);
  const algorithm = cursor.inside(0x30);
  const type = algorithm.oid();
  const kind = KEYS.get(type) ?? type;
  if (kind === 'RSA') {
    const [modulus] = readAll(readOne(cursor.bitString()).content);
    return `RSA ${hex(modulus?.content ?? new Uint8Array()).replace(/^(00)+/, '').length * 4}`;
  }
  if (kind === 'EC') {
    const curve = algorithm.oid();
    return `EC ${CURVES.get(curve) ?? curve}`;
  }
  return kind;
}

/**
 * @param {import('./requests/der.js').Tlv} value
 * @returns {Extension}
 */
function extensionOf({ content }) {
  const cursor = new Cursor(content);
  const type = cursor.oid();
  const critical = (cursor.optional(0x01)?.content[0] ?? 0) !== 0;
  const octets = cursor.expect(0x04).content;
  const name = EXTENSIONS.get(type) ?? type;
  try {
    return { name, critical, values: valuesOf(name, octets) };
  } catch {
    return { name, critical, values: [withColons(octets)] };
  }
}

/**
 * @param {string} name
 * @param {Uint8Array} octets
 * @returns {string[]}
 */
function valuesOf(name, octets) {
  const value = readOne(octets);
  switch (name) {
    case 'subjectKeyIdentifier':
      return [withColons(value.content)];
    case 'authorityKeyIdentifier':
      return readAll(value.content)
        .filter((field) => field.tag === 0x80)
        .map((field) => withColons(field.content));
    case 'keyUsage':
      return USAGES.filter((_, bit) => isSet(value.content, bit));
    case 'extKeyUsage':
      return readAll(value.content).map((purpose) => {
        const type = oidText(purpose.content);
        return PURPOSES.get(type) ?? type;
      });
    case 'basicConstraints':
      return basicConstraints(new Cursor(value.content));
    case 'subjectAltName':
      return readAll(value.content).map(generalName);
    case 'authorityInfoAccess':
      return readAll(value.content).map((description) => {
        const cursor = new Cursor(description.content);
        const type = cursor.oid();
        return `${METHODS.get(type) ?? type}: ${generalName(cursor.any())}`;
      });
    case 'cRLDistributionPoints':
      return readAll(value.content).flatMap((point) =>
        readAll(point.content)
          .filter((field) => field.tag === CONTEXT_0)
          .flatMap((field) => readAll(field.content))
          .filter((field) => field.tag === CONTEXT_0)
          .flatMap((field) => readAll(field.content).map(generalName)),
      );
    default:
      return [withColons(octets)];
  }
}

/** @param {Cursor} cursor */
function basicConstraints(cursor) {
  const isCa = (cursor.optional(0x01)?.content[0] ?? 0) !== 0;
  const path = cursor.optional(0x02);
  const limit = path ? [`pathlen:${Number.parseInt(hex(path.content), 16)}`] : [];
  return [`CA:${isCa ? 'TRUE' : 'FALSE'}`, ...limit];
}

/**
 * Returns true if a BIT STRING has the bit.
 *
 * @param {Uint8Array} content
 * @param {number} bit
 */
function isSet(content, bit) {
  return ((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0;
}

/** @param {Uint8Array} octets */
function addressOf(octets) {
  return octets.length === 4 ? octets.join('.') : hex(octets).replace(/(.{4})(?=.)/g, '$1:');
}

/** @param {import('./requests/der.js').Tlv} name RFC 5280 §4.2.1.6 */
function generalName({ tag, content }) {
  const text = () => new TextDecoder().decode(content);
  switch (tag) {
    case 0x81:
      return `email:${text()}`;
    case 0x82:
      return `DNS:${text()}`;
    case 0x86:
      return text();
    case 0x87:
      return `IP:${addressOf(content)}`;
    case 0xa4:
      return nameOf(readOne(content).content);
    default:
      return withColons(content);
  }
}
