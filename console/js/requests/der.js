// Reading and writing of DER (X.690): the part that certificate requests and names need.

/** The tag octets that X.509 structures use. */
export const tag = Object.freeze({
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  UTF8_STRING: 0x0c,
  NUMERIC_STRING: 0x12,
  PRINTABLE_STRING: 0x13,
  TELETEX_STRING: 0x14,
  IA5_STRING: 0x16,
  VISIBLE_STRING: 0x1a,
  GENERAL_STRING: 0x1b,
  UNIVERSAL_STRING: 0x1c,
  BMP_STRING: 0x1e,
  SEQUENCE: 0x30,
  SET: 0x31,
});

/** The error for octets that are not DER. */
export class NotDer extends Error {}

/**
 * A value: its tag octet, its content, and all of its octets.
 * @typedef {{tag: number, content: Uint8Array, raw: Uint8Array}} Tlv
 */

/** Reads values one after the other. */
export class Cursor {
  /** @param {Uint8Array} octets */
  constructor(octets) {
    this.octets = octets;
    this.at = 0;
  }

  /** @returns {boolean} true after the last value */
  get isEmpty() {
    return this.at >= this.octets.length;
  }

  /**
   * Reads the next value. Lengths may have more octets than necessary, as some encoders write them;
   * an indefinite length is refused.
   * @returns {Tlv}
   */
  any() {
    const { octets, at } = this;
    const octet = octets[at];
    let length = octets[at + 1];
    if (octet === undefined || length === undefined || (octet & 0x1f) === 0x1f) {
      throw new NotDer();
    }
    let start = at + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      // A file that a browser reads here has at most some kilobytes: four octets are enough.
      if (count === 0 || count > 4 || start + count > octets.length) {
        throw new NotDer();
      }
      length = 0;
      for (let i = 0; i < count; i += 1) {
        length = length * 256 + /** @type {number} */ (octets[start + i]);
      }
      start += count;
    }
    const end = start + length;
    if (end > octets.length) {
      throw new NotDer();
    }
    this.at = end;
    return { tag: octet, content: octets.subarray(start, end), raw: octets.subarray(at, end) };
  }

  /**
   * Reads a value that must have this tag.
   * @param {number} expected
   * @returns {Tlv}
   */
  expect(expected) {
    const value = this.any();
    if (value.tag !== expected) {
      throw new NotDer();
    }
    return value;
  }

  /**
   * Reads the next value if it has this tag.
   * @param {number} expected
   * @returns {Tlv | null}
   */
  optional(expected) {
    return this.octets[this.at] === expected ? this.any() : null;
  }

  /**
   * Reads the content of the next value, which must have this tag.
   * @param {number} expected
   * @returns {Cursor}
   */
  inside(expected) {
    return new Cursor(this.expect(expected).content);
  }

  /** Refuses further values. */
  end() {
    if (!this.isEmpty) {
      throw new NotDer();
    }
  }

  /**
   * Reads a bit string of whole octets.
   * @returns {Uint8Array}
   */
  bitString() {
    const { content } = this.expect(tag.BIT_STRING);
    if (content[0] !== 0) {
      throw new NotDer();
    }
    return content.subarray(1);
  }

  /**
   * Reads an object identifier in dotted form.
   * @returns {string}
   */
  oid() {
    return oidText(this.expect(tag.OID).content);
  }
}

/**
 * Returns the dotted form of an object identifier (X.690 §8.19).
 * @param {Uint8Array} content
 * @returns {string}
 */
export function oidText(content) {
  const arcs = [];
  let arc = 0n;
  let isWithin = false;
  for (const octet of content) {
    arc = arc * 128n + BigInt(octet & 0x7f);
    isWithin = octet >= 0x80;
    if (!isWithin) {
      if (arcs.length === 0) {
        const first = arc < 80n ? arc / 40n : 2n;
        arcs.push(first, arc - first * 40n);
      } else {
        arcs.push(arc);
      }
      arc = 0n;
    }
  }
  if (isWithin || arcs.length === 0) {
    throw new NotDer();
  }
  return arcs.join('.');
}

/**
 * Reads the text of a string in a name as the server shows it: text of another encoding in a
 * PrintableString is UTF-8 or Latin-1. `null` if the value is not text.
 * @param {Tlv} value
 * @returns {string | null}
 */
export function textOf(value) {
  const { content } = value;
  switch (value.tag) {
    case tag.UTF8_STRING:
      return utf8(content);
    case tag.PRINTABLE_STRING:
    case tag.IA5_STRING:
    case tag.NUMERIC_STRING:
    case tag.VISIBLE_STRING:
      return utf8(content) ?? latin1(content);
    case tag.TELETEX_STRING:
      return latin1(content);
    case tag.BMP_STRING:
      return wide(content, 2);
    case tag.UNIVERSAL_STRING:
      return wide(content, 4);
    default:
      return null;
  }
}

/**
 * @param {Uint8Array} content
 * @returns {string | null}
 */
function utf8(content) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return null;
  }
}

/** @param {Uint8Array} content */
function latin1(content) {
  return Array.from(content, (octet) => String.fromCharCode(octet)).join('');
}

/**
 * @param {Uint8Array} content
 * @param {2 | 4} width
 * @returns {string | null}
 */
function wide(content, width) {
  if (content.length % width !== 0) {
    return null;
  }
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  let text = '';
  for (let at = 0; at < content.length; at += width) {
    const unit = width === 2 ? view.getUint16(at) : view.getUint32(at);
    if (unit > 0x10ffff) {
      return null;
    }
    text += width === 2 ? String.fromCharCode(unit) : String.fromCodePoint(unit);
  }
  return /[\ud800-\udfff]/u.test(text) ? null : text;
}

/**
 * Writes a value from the octets of its content.
 * @param {number} kind the tag octet
 * @param {...Uint8Array} parts
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encode(kind, ...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const octets = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) {
    octets.unshift(rest % 256);
  }
  const head = length < 0x80 ? [kind, length] : [kind, 0x80 | octets.length, ...octets];
  const value = new Uint8Array(head.length + length);
  value.set(head);
  let at = head.length;
  for (const part of parts) {
    value.set(part, at);
    at += part.length;
  }
  return value;
}

/**
 * Writes an object identifier with arcs below 2^31.
 * @param {string} dotted
 * @returns {Uint8Array}
 */
export function encodeOid(dotted) {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  const content = [first * 40 + second, ...others].flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let rest = arc >>> 7; rest > 0; rest >>>= 7) {
      digits.unshift(0x80 | (rest & 0x7f));
    }
    return digits;
  });
  return encode(tag.OID, Uint8Array.from(content));
}

/**
 * Writes a bit string of whole octets.
 * @param {Uint8Array} octets
 */
export function encodeBitString(octets) {
  return encode(tag.BIT_STRING, Uint8Array.of(0), octets);
}

/**
 * Writes a non-negative integer from its octets, most significant first.
 * @param {Uint8Array} octets
 */
export function encodeUnsigned(octets) {
  let start = 0;
  while (start < octets.length - 1 && octets[start] === 0) {
    start += 1;
  }
  const digits = octets.subarray(start);
  const isNegative = /** @type {number} */ (digits[0]) >= 0x80;
  return encode(tag.INTEGER, ...(isNegative ? [Uint8Array.of(0)] : []), digits);
}
