// Certificate signing requests (PKCS #10, RFC 2986): finding, reading, verifying and creating them.
// The server judges every request again. This module refuses only what the server refuses too.

import {
  Cursor,
  NotDer,
  encode,
  encodeBitString,
  encodeOid,
  encodeUnsigned,
  tag,
  textOf,
} from './der.js';
import { fromBase64, pem, pemBlocks } from './pem.js';

/** Longest request that the server accepts, in octets of PEM. */
export const CSR_BYTES_MAX = 16 * 1024;

/** The attributes of a subject (RFC 5280 §4.1.2.4, RFC 4519) by the names that rules have. */
export const ATTRIBUTES = Object.freeze({
  common_name: '2.5.4.3',
  country: '2.5.4.6',
  state: '2.5.4.8',
  location: '2.5.4.7',
  organization: '2.5.4.10',
  organizational_unit: '2.5.4.11',
  email_address: '1.2.840.113549.1.9.1',
  serial_number: '2.5.4.5',
  title: '2.5.4.12',
  given_name: '2.5.4.42',
  surname: '2.5.4.4',
  user_id: '0.9.2342.19200300.100.1.1',
  domain_component: '0.9.2342.19200300.100.1.25',
});

/** The attributes that the API shows: the server refuses a request with one that is not text. */
const SHOWN = new Set(Object.keys(ATTRIBUTES).slice(0, 6));

/** @type {Map<string, string>} the names of attributes by object identifier */
const NAME_OF_OID = new Map(Object.entries(ATTRIBUTES).map(([name, oid]) => [oid, name]));

const OID = Object.freeze({
  RSA: '1.2.840.113549.1.1.1',
  EC: '1.2.840.10045.2.1',
  ED25519: '1.3.101.112',
  PSS: '1.2.840.113549.1.1.10',
  EXTENSION_REQUEST: '1.2.840.113549.1.9.14',
  MICROSOFT_EXTENSIONS: '1.3.6.1.4.1.311.2.1.14',
  SUBJECT_ALT_NAME: '2.5.29.17',
});

/** @type {Record<string, {name: string, octets: number}>} the accepted curves, by identifier */
const CURVES = {
  '1.2.840.10045.3.1.7': { name: 'P-256', octets: 32 },
  '1.3.132.0.34': { name: 'P-384', octets: 48 },
  '1.3.132.0.35': { name: 'P-521', octets: 66 },
};

/** @type {Record<string, {scheme: string, hash: string}>} the accepted signature algorithms */
const SIGNATURES = {
  '1.2.840.113549.1.1.11': { scheme: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  '1.2.840.113549.1.1.12': { scheme: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' },
  '1.2.840.113549.1.1.13': { scheme: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' },
  '1.2.840.10045.4.3.2': { scheme: 'ECDSA', hash: 'SHA-256' },
  '1.2.840.10045.4.3.3': { scheme: 'ECDSA', hash: 'SHA-384' },
  '1.2.840.10045.4.3.4': { scheme: 'ECDSA', hash: 'SHA-512' },
  [OID.ED25519]: { scheme: 'Ed25519', hash: '' },
  [OID.PSS]: { scheme: 'RSA-PSS', hash: '' },
};

/** @type {Record<string, string>} */
const HASHES = {
  '2.16.840.1.101.3.4.2.1': 'SHA-256',
  '2.16.840.1.101.3.4.2.2': 'SHA-384',
  '2.16.840.1.101.3.4.2.3': 'SHA-512',
};

const RSA_BITS_MIN = 2048;
const RSA_BITS_MAX = 8192;

/** Longest public exponent of an RSA key that the server accepts, in bits. */
const RSA_EXPONENT_BITS_MAX = 33;

/** The reason why a request is not accepted. The text for people is in `text.js`, by `code`. */
export class RequestProblem extends Error {
  /**
   * @param {string} code
   * @param {string} [value] the value from the request that is the problem
   */
  constructor(code, value = '') {
    super(code);
    this.code = code;
    this.value = value;
  }
}

/**
 * An attribute of a subject. `name` is the name in rules, or the object identifier.
 * @typedef {{name: string, value: string}} Attribute
 */

/**
 * A subject alternative name.
 * @typedef {{kind: 'dns' | 'email' | 'uri' | 'ip' | 'other', value: string}} AlternativeName
 */

/**
 * A request that was read.
 * @typedef {object} CertificateRequest
 * @property {Attribute[]} subject in the order of the request
 * @property {string} keyType the type of the key in rules, such as `P-256` or `RSA-2048`
 * @property {AlternativeName[]} names
 * @property {Uint8Array<ArrayBuffer>} signed the signed part
 * @property {Uint8Array<ArrayBuffer>} key the SubjectPublicKeyInfo
 * @property {Uint8Array<ArrayBuffer>} signature
 * @property {{scheme: string, hash: string, salt: number}} algorithm
 */

/**
 * Finds the request in a text: PEM, or Base64 of PEM or DER.
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>} the DER form
 */
export function findRequest(text) {
  const bytes = new TextEncoder().encode(text).length;
  if (/-----BEGIN [^-\n]*PRIVATE KEY-----/.test(text)) {
    throw new RequestProblem('private_key');
  }
  if (bytes > CSR_BYTES_MAX) {
    throw new RequestProblem('too_large', String(bytes));
  }
  const blocks = pemBlocks(text);
  if (blocks.length === 0) {
    if (text.includes('-----BEGIN ')) {
      throw new RequestProblem('cut_off');
    }
    const octets = fromBase64(text);
    if (octets === null) {
      throw new RequestProblem('not_pem');
    }
    const inside = new TextDecoder().decode(octets);
    return inside.includes('-----BEGIN ') ? findRequest(inside) : octets;
  }
  const [block, ...others] = blocks;
  if (others.length > 0 || block === undefined) {
    throw new RequestProblem('several');
  }
  if (!['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'].includes(block.label)) {
    throw new RequestProblem('wrong_label', block.label);
  }
  if (block.octets === null) {
    throw new RequestProblem('not_base64');
  }
  return block.octets;
}

/**
 * Returns the text of a file with a request: PEM as it is, DER as PEM, and UTF-16 as UTF-8.
 * @param {ArrayBuffer} file
 * @returns {string}
 */
export function textOfFile(file) {
  const octets = new Uint8Array(file);
  if (octets[0] === 0x30 && (octets[1] ?? 0) >= 0x80) {
    return pem('CERTIFICATE REQUEST', octets);
  }
  const order = { fffe: 'utf-16le', feff: 'utf-16be' };
  const mark = Array.from(octets.subarray(0, 2), (octet) => octet.toString(16)).join('');
  const label = /** @type {Record<string, string>} */ (order)[mark] ?? 'utf-8';
  return new TextDecoder(label).decode(octets);
}

/**
 * Reads a request in DER, and judges its key, its subject and the algorithm of its signature.
 * @param {Uint8Array<ArrayBuffer>} der
 * @returns {CertificateRequest}
 */
export function readRequest(der) {
  try {
    return read(der);
  } catch (error) {
    throw error instanceof NotDer ? new RequestProblem('malformed') : error;
  }
}

/**
 * @param {Uint8Array<ArrayBuffer>} der
 * @returns {CertificateRequest}
 */
function read(der) {
  const outer = new Cursor(der);
  const request = outer.inside(tag.SEQUENCE);
  if (!outer.isEmpty) {
    throw new RequestProblem('trailing_bytes');
  }
  const info = request.expect(tag.SEQUENCE);
  const algorithm = request.inside(tag.SEQUENCE);
  const signature = request.bitString();
  request.end();

  const parts = new Cursor(info.content);
  const version = parts.expect(tag.INTEGER).content;
  // RFC 2986 has only version 0. Programs also write 1 and 2.
  if (version.length !== 1 || /** @type {number} */ (version[0]) > 2) {
    throw new NotDer();
  }
  const subject = parts.inside(tag.SEQUENCE);
  const key = parts.expect(tag.SEQUENCE);
  const attributes = parts.optional(0xa0);
  parts.end();

  const { keyType, spki } = readKey(key.content, key.raw);
  return {
    subject: readSubject(subject),
    keyType,
    names: attributes === null ? [] : readNames(attributes.content),
    signed: own(info.raw),
    key: own(spki),
    signature: own(signature),
    algorithm: readAlgorithm(algorithm),
  };
}

/**
 * Copies octets, so that they are the whole of a buffer.
 * @param {Uint8Array} octets
 * @returns {Uint8Array<ArrayBuffer>}
 */
function own(octets) {
  return new Uint8Array(octets);
}

/** @param {Cursor} algorithm */
function readAlgorithm(algorithm) {
  const oid = algorithm.oid();
  const known = SIGNATURES[oid];
  if (known === undefined) {
    throw new RequestProblem('signature_algorithm', oid);
  }
  if (oid !== OID.PSS) {
    return { ...known, salt: 0 };
  }
  // RSASSA-PSS-params (RFC 4055 §3.1): the default hash is SHA-1, the default salt 20 octets.
  const parameters = algorithm.inside(tag.SEQUENCE);
  const hash = parameters.optional(0xa0);
  const hashOid = hash === null ? 'SHA-1' : new Cursor(hash.content).inside(tag.SEQUENCE).oid();
  parameters.optional(0xa1);
  const salt = parameters.optional(0xa2);
  const digits =
    salt === null ? Uint8Array.of(20) : new Cursor(salt.content).expect(tag.INTEGER).content;
  const name = HASHES[hashOid];
  if (name === undefined) {
    throw new RequestProblem('signature_algorithm', hashOid);
  }
  return { ...known, hash: name, salt: digits.reduce((sum, octet) => sum * 256 + octet, 0) };
}

/**
 * @param {Uint8Array} content
 * @param {Uint8Array} raw
 * @returns {{keyType: string, spki: Uint8Array}}
 */
function readKey(content, raw) {
  const cursor = new Cursor(content);
  const algorithm = cursor.inside(tag.SEQUENCE);
  const oid = algorithm.oid();
  const bits = cursor.bitString();
  cursor.end();
  switch (oid) {
    case OID.RSA: {
      // WebCrypto needs the NULL parameters that some encoders leave out.
      const id = encode(tag.SEQUENCE, encodeOid(OID.RSA), encode(tag.NULL));
      return {
        keyType: `RSA-${rsaBits(bits)}`,
        spki: encode(tag.SEQUENCE, id, encodeBitString(bits)),
      };
    }
    case OID.EC: {
      const parameters = algorithm.any();
      const named = parameters.tag === tag.OID ? new Cursor(parameters.raw).oid() : '';
      const curve = CURVES[named];
      if (curve === undefined) {
        throw new RequestProblem('curve', named || 'explicit parameters');
      }
      if (bits[0] === 2 || bits[0] === 3) {
        throw new RequestProblem('compressed_point');
      }
      if (bits[0] !== 4 || bits.length !== 1 + 2 * curve.octets) {
        throw new RequestProblem('key_invalid', curve.name);
      }
      return { keyType: curve.name, spki: raw };
    }
    case OID.ED25519:
      if (bits.length !== 32) {
        throw new RequestProblem('key_invalid', 'Ed25519');
      }
      return { keyType: 'Ed25519', spki: raw };
    default:
      throw new RequestProblem('key_algorithm', oid);
  }
}

/**
 * @param {Uint8Array} key the RSAPublicKey
 * @returns {number} the length of the modulus in bits
 */
function rsaBits(key) {
  const parts = new Cursor(key).inside(tag.SEQUENCE);
  const modulus = parts.expect(tag.INTEGER).content;
  const exponent = parts.expect(tag.INTEGER).content;
  const bits = bitLength(modulus);
  const last = (/** @type {Uint8Array} */ octets) => octets[octets.length - 1] ?? 0;
  if (/** @type {number} */ (modulus[0]) >= 0x80 || last(modulus) % 2 === 0) {
    throw new RequestProblem('key_invalid', 'RSA');
  }
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
    throw new RequestProblem('rsa_size', String(bits));
  }
  const length = bitLength(exponent);
  if (last(exponent) % 2 === 0 || length < 2 || length > RSA_EXPONENT_BITS_MAX) {
    throw new RequestProblem('rsa_exponent');
  }
  return bits;
}

/** @param {Uint8Array} octets */
function bitLength(octets) {
  const first = octets.findIndex((octet) => octet !== 0);
  if (first === -1) {
    return 0;
  }
  const bits = 32 - Math.clz32(/** @type {number} */ (octets[first]));
  return bits + 8 * (octets.length - first - 1);
}

/**
 * @param {Cursor} rdns
 * @returns {Attribute[]}
 */
function readSubject(rdns) {
  const attributes = [];
  while (!rdns.isEmpty) {
    const rdn = rdns.inside(tag.SET);
    if (rdn.isEmpty) {
      throw new NotDer();
    }
    while (!rdn.isEmpty) {
      const attribute = rdn.inside(tag.SEQUENCE);
      const oid = attribute.oid();
      const value = attribute.any();
      attribute.end();
      const name = NAME_OF_OID.get(oid) ?? oid;
      const text = textOf(value);
      if (text === null && SHOWN.has(name)) {
        throw new RequestProblem('subject_unreadable', name);
      }
      if (text !== null && Array.from(text).some((letter) => letter < ' ')) {
        throw new RequestProblem('control_character', name);
      }
      attributes.push({ name, value: text ?? '' });
    }
  }
  return attributes;
}

/**
 * Reads the subject alternative names. Attributes may have any content: the server skips the rest
 * after a value that cannot be read, and this function returns the names before it.
 * @param {Uint8Array} content
 * @returns {AlternativeName[]}
 */
function readNames(content) {
  /** @type {AlternativeName[]} */
  const names = [];
  each(content, (attribute) => {
    const parts = new Cursor(attribute.content);
    const oid = parts.oid();
    if (oid !== OID.EXTENSION_REQUEST && oid !== OID.MICROSOFT_EXTENSIONS) {
      return;
    }
    each(parts.any().content, (extensions) => {
      each(extensions.content, (extension) => {
        const fields = new Cursor(extension.content);
        if (fields.oid() !== OID.SUBJECT_ALT_NAME) {
          return;
        }
        fields.optional(0x01);
        const { content: value } = fields.expect(tag.OCTET_STRING);
        const before = names.length;
        try {
          each(new Cursor(value).expect(tag.SEQUENCE).content, (name) => {
            names.push(alternativeName(name));
          });
        } finally {
          if (names.length === before) {
            names.push({ kind: 'other', value: 'subjectAltName' });
          }
        }
      });
    });
  });
  return names;
}

/**
 * Calls `found` with each value, and ignores those that cannot be read.
 * @param {Uint8Array} content
 * @param {(value: import('./der.js').Tlv) => void} found
 */
function each(content, found) {
  const values = new Cursor(content);
  while (!values.isEmpty) {
    let value;
    try {
      value = values.any();
    } catch {
      return;
    }
    try {
      found(value);
    } catch (error) {
      if (!(error instanceof NotDer)) {
        throw error;
      }
    }
  }
}

/**
 * @param {import('./der.js').Tlv} name a GeneralName (RFC 5280 §4.2.1.6)
 * @returns {AlternativeName}
 */
function alternativeName(name) {
  const text = () => new TextDecoder().decode(name.content);
  switch (name.tag) {
    case 0x81:
      return { kind: 'email', value: text() };
    case 0x82:
      return { kind: 'dns', value: text() };
    case 0x86:
      return { kind: 'uri', value: text() };
    case 0x87:
      return { kind: 'ip', value: addressText(name.content) };
    default:
      return { kind: 'other', value: `[${name.tag & 0x1f}]` };
  }
}

/** @param {Uint8Array} octets */
function addressText(octets) {
  if (octets.length === 4) {
    return octets.join('.');
  }
  const groups = [];
  for (let at = 0; at < octets.length; at += 2) {
    groups.push((((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)).toString(16));
  }
  return groups.join(':');
}

/**
 * Verifies the signature of a request under its own key, which proves possession of the private
 * key. `unknown`: the browser cannot verify this algorithm, or has no WebCrypto here.
 * @param {CertificateRequest} request
 * @returns {Promise<'valid' | 'invalid' | 'unknown'>}
 */
export async function verifySignature(request) {
  const { scheme, hash, salt } = request.algorithm;
  const family = scheme.startsWith('RSA') ? 'RSA' : scheme === 'ECDSA' ? 'P-' : 'Ed25519';
  if (!request.keyType.startsWith(family)) {
    return 'invalid';
  }
  const { subtle } = globalThis.crypto ?? {};
  if (subtle === undefined) {
    return 'unknown';
  }
  const curve = Object.values(CURVES).find(({ name }) => name === request.keyType);
  let { signature } = request;
  if (scheme === 'ECDSA' && curve !== undefined) {
    const pair = ecdsaPair(signature, curve.octets);
    if (pair === null) {
      return 'invalid';
    }
    signature = pair;
  }
  try {
    const usage = { name: scheme, hash, namedCurve: curve?.name, saltLength: salt };
    const key = await subtle.importKey('spki', request.key, usage, false, ['verify']);
    const isValid = await subtle.verify(usage, key, signature, request.signed);
    return isValid ? 'valid' : 'invalid';
  } catch {
    // The server decides: browsers differ in the keys that they can read.
    return 'unknown';
  }
}

/**
 * Returns the form of an ECDSA signature that WebCrypto has: r and s, each as long as the curve.
 * @param {Uint8Array} der `SEQUENCE { r INTEGER, s INTEGER }`
 * @param {number} length
 * @returns {Uint8Array<ArrayBuffer> | null}
 */
function ecdsaPair(der, length) {
  const pair = new Uint8Array(2 * length);
  try {
    const parts = new Cursor(der).inside(tag.SEQUENCE);
    for (const end of [length, 2 * length]) {
      const { content } = parts.expect(tag.INTEGER);
      const digits = content[0] === 0 ? content.subarray(1) : content;
      if (digits.length > length) {
        return null;
      }
      pair.set(digits, end - digits.length);
    }
    parts.end();
    return pair;
  } catch {
    return null;
  }
}

/** The keys that this page can create, by name. */
export const NEW_KEYS = Object.freeze(['P-256', 'P-384', 'RSA-2048', 'RSA-3072', 'RSA-4096']);

/**
 * Creates a key and a request for it. The private key leaves this function only as PKCS #8 in PEM,
 * for the user.
 * @param {string} keyType one of `NEW_KEYS`
 * @param {Attribute[]} subject attributes with names of `ATTRIBUTES`, in this order
 * @param {AlternativeName[]} names of the kinds `dns`, `email` and `uri`
 * @returns {Promise<{csr: string, privateKey: string}>}
 */
export async function createRequest(keyType, subject, names) {
  const { subtle } = globalThis.crypto;
  const isRsa = keyType.startsWith('RSA-');
  const hash = keyType === 'P-384' ? 'SHA-384' : 'SHA-256';
  const parameters = isRsa
    ? {
        name: 'RSASSA-PKCS1-v1_5',
        hash,
        modulusLength: Number(keyType.slice('RSA-'.length)),
        publicExponent: Uint8Array.of(1, 0, 1),
      }
    : { name: 'ECDSA', hash, namedCurve: keyType };
  const pair = /** @type {CryptoKeyPair} */ (
    await subtle.generateKey(parameters, true, ['sign', 'verify'])
  );
  const key = new Uint8Array(await subtle.exportKey('spki', pair.publicKey));
  const info = encode(
    tag.SEQUENCE,
    encode(tag.INTEGER, Uint8Array.of(0)),
    encodeName(subject),
    key,
    encode(0xa0, ...(names.length > 0 ? [encodeNames(names)] : [])),
  );
  const signed = new Uint8Array(await subtle.sign(parameters, pair.privateKey, info));
  const half = signed.length / 2;
  const signature = isRsa
    ? signed
    : encode(
        tag.SEQUENCE,
        encodeUnsigned(signed.subarray(0, half)),
        encodeUnsigned(signed.subarray(half)),
      );
  const oid = Object.entries(SIGNATURES).find(
    ([, known]) => known.scheme === parameters.name && known.hash === hash,
  );
  const algorithm = [encodeOid(/** @type {[string, unknown]} */ (oid)[0])];
  if (isRsa) {
    algorithm.push(encode(tag.NULL));
  }
  const request = encode(
    tag.SEQUENCE,
    info,
    encode(tag.SEQUENCE, ...algorithm),
    encodeBitString(signature),
  );
  const secret = new Uint8Array(await subtle.exportKey('pkcs8', pair.privateKey));
  return { csr: pem('CERTIFICATE REQUEST', request), privateKey: pem('PRIVATE KEY', secret) };
}

/**
 * Writes a Name with one attribute in each set.
 * @param {Attribute[]} subject
 */
function encodeName(subject) {
  const sets = subject.map(({ name, value }) => {
    const octets = new TextEncoder().encode(value);
    const isIa5 = name === 'email_address' || name === 'domain_component';
    // RFC 5280 §A.1: a country is a PrintableString, an e-mail address an IA5String.
    const kind =
      name === 'country' ? tag.PRINTABLE_STRING : isIa5 ? tag.IA5_STRING : tag.UTF8_STRING;
    const oid = /** @type {Record<string, string>} */ (ATTRIBUTES)[name] ?? name;
    const attribute = encode(tag.SEQUENCE, encodeOid(oid), encode(kind, octets));
    return encode(tag.SET, attribute);
  });
  return encode(tag.SEQUENCE, ...sets);
}

/**
 * Writes the attribute `extensionRequest` with subject alternative names.
 * @param {AlternativeName[]} names
 */
function encodeNames(names) {
  const kinds = { email: 0x81, dns: 0x82, uri: 0x86 };
  const general = names.map(({ kind, value }) =>
    encode(
      /** @type {Record<string, number>} */ (kinds)[kind] ?? 0x82,
      new TextEncoder().encode(value),
    ),
  );
  const extension = encode(
    tag.SEQUENCE,
    encodeOid(OID.SUBJECT_ALT_NAME),
    encode(tag.OCTET_STRING, encode(tag.SEQUENCE, ...general)),
  );
  return encode(
    tag.SEQUENCE,
    encodeOid(OID.EXTENSION_REQUEST),
    encode(tag.SET, encode(tag.SEQUENCE, extension)),
  );
}
