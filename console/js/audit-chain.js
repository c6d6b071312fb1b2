// The hash chain of an audit log: docs/audit.md defines the text that is hashed.

import { fromHex, hex } from './requests/pem.js';

/**
 * An entry of an audit log, as the API has it.
 * @typedef {object} AuditLog
 * @property {string} id
 * @property {{id: string, name: string}} [account]
 * @property {{description: string, result: string, time: string, type: string}} action
 * @property {AuditActor} actor
 * @property {{id: string, product: string, type: string}} resource
 * @property {{id: string, name?: string}} [zone]
 * @property {{number: number, hash: string, fingerprint_sha256?: string, detail: string}} certgate
 */

/**
 * @typedef {object} AuditActor
 * @property {string} [id]
 * @property {string} [context]
 * @property {string} [email]
 * @property {string} [ip_address]
 * @property {string} [token_id]
 * @property {string} [token_name]
 * @property {string} type
 */

/**
 * The result for an entry: `intact` if its hash follows from its content and the hash of the entry
 * before it, `changed` if it does not, `unlinked` if the entry before it is not known here.
 * @typedef {'intact' | 'changed' | 'unlinked'} Verdict
 */

/** The hash before the first entry. */
export const FIRST_PREVIOUS = '0'.repeat(64);

/**
 * Returns the text that is hashed after the previous hash.
 * @param {string} owner `account:` or `user:`, and the ID of the log
 * @param {AuditLog} entry
 * @returns {string}
 */
export function hashedText(owner, entry) {
  const { actor, action, certgate, resource, zone } = entry;
  return [
    owner,
    certgate.number,
    microseconds(action.time),
    actorText(actor),
    actor.ip_address ?? '-',
    action.type,
    resource.type,
    // CAs and uploaded certificates have UUIDs in the API.
    resource.id.replaceAll('-', ''),
    zone?.id ?? '-',
    certgate.fingerprint_sha256 ?? '-',
    certgate.detail,
  ].join('\n');
}

/** @param {AuditActor} actor */
function actorText(actor) {
  if (actor.token_id !== undefined) {
    return `token:${actor.token_id}`;
  }
  if (actor.context === 'api_key') {
    return `api_key:${actor.id}`;
  }
  const { type, id = '' } = actor;
  switch (type) {
    case 'certificate':
    case 'invite':
      return `${type}:${id}`;
    case 'mtls_certificate':
      // The text has the ID as a UUID, and the API has its digits.
      return `${type}:${id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}`;
    default:
      return type;
  }
}

/**
 * Returns the microseconds since 1970 of a time in RFC 3339 with `Z`: a `Date` has only
 * milliseconds.
 * @param {string} time
 * @returns {bigint}
 */
export function microseconds(time) {
  const [, whole = time, fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(time) ?? [];
  return BigInt(Date.parse(`${whole}Z`)) * 1000n + BigInt(fraction.padEnd(6, '0').slice(0, 6));
}

/**
 * Returns the hash of an entry, calculated from its content and the previous hash.
 * @param {string} owner
 * @param {AuditLog} entry
 * @param {string} previous
 * @returns {Promise<string>}
 */
export async function hashOf(owner, entry, previous) {
  const text = new TextEncoder().encode(hashedText(owner, entry));
  const input = new Uint8Array(32 + text.length);
  input.set(fromHex(previous));
  input.set(text, 32);
  return hex(await crypto.subtle.digest('SHA-256', input));
}

/**
 * Judges entries, in any order and with gaps. The result is by number.
 * @param {string} owner
 * @param {AuditLog[]} entries
 * @returns {Promise<Map<number, Verdict>>}
 */
export async function verify(owner, entries) {
  const byNumber = new Map(entries.map((entry) => [entry.certgate.number, entry.certgate.hash]));
  byNumber.set(0, FIRST_PREVIOUS);
  const judged = entries.map(async (entry) => {
    const { number, hash } = entry.certgate;
    const previous = byNumber.get(number - 1);
    if (previous === undefined) {
      return /** @type {[number, Verdict]} */ ([number, 'unlinked']);
    }
    const isIntact = (await hashOf(owner, entry, previous)) === hash;
    return /** @type {[number, Verdict]} */ ([number, isIntact ? 'intact' : 'changed']);
  });
  return new Map(await Promise.all(judged));
}

/**
 * A head of a log that a person stored: the number and hash of its last entry at that time.
 * @typedef {{number: number, hash: string}} Head
 */

/**
 * Reads a head as `certgate audit verify` prints it: ID of the log, number and hash.
 * @param {string} text
 * @param {string} owner `account:` or `user:`, and the ID of the log
 * @returns {Head | null} `null` if the text is not a head of this log
 */
export function headOf(text, owner) {
  const found = /^([0-9a-f]{32}):(\d{1,15}):([0-9a-f]{64})$/i.exec(text.trim());
  if (found === null || found[1]?.toLowerCase() !== owner.split(':')[1]) return null;
  return { number: Number(found[2]), hash: String(found[3]).toLowerCase() };
}

/** Checks a whole log in parts, from its first entry on. */
export class ChainCheck {
  /**
   * @param {string} owner
   * @param {Head | null} [expected] The log must still have this entry.
   */
  constructor(owner, expected = null) {
    this.owner = owner;
    this.expected = expected;
    /** The number of entries that are intact, which is the number of the last one. */
    this.checked = 0;
    this.head = FIRST_PREVIOUS;
    /**
     * The first problem. `other`: the hash of the expected entry is another one, because all hashes
     * were calculated again. `short`: the log ends before the expected entry.
     * @type {{number: number, problem: 'changed' | 'missing' | 'other' | 'short'} | null}
     */
    this.broken = null;
  }

  /**
   * Checks the next entries, which must be in the order of their numbers.
   * @param {AuditLog[]} entries
   */
  async add(entries) {
    for (const entry of entries) {
      if (this.broken !== null) return;
      const { number, hash } = entry.certgate;
      if (number !== this.checked + 1) {
        this.broken = { number: this.checked + 1, problem: 'missing' };
      } else if ((await hashOf(this.owner, entry, this.head)) !== hash) {
        this.broken = { number, problem: 'changed' };
      } else if (number === this.expected?.number && hash !== this.expected.hash) {
        this.broken = { number, problem: 'other' };
      } else {
        this.checked = number;
        this.head = hash;
      }
    }
  }

  /** Ends the check after the last entry. */
  end() {
    if (this.broken === null && this.expected !== null && this.expected.number > this.checked) {
      this.broken = { number: this.checked + 1, problem: 'short' };
    }
  }
}
