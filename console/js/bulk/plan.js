/** The conditions of a bulk action, before it is confirmed. */

import { conditionsOf, replacedOf, statusOf } from '../certificates/filters.js';

/**
 * @typedef {import('../certificates/selection.js').Chosen} Chosen
 * @typedef {import('./record.js').Action} Action
 */

/** The statuses that an action changes, the usual one first. */
export const CHANGES = /** @type {const} */ ({
  revoke: ['active', 'pending_reactivation'],
  restore: ['revoked', 'pending_revocation'],
});

/**
 * Returns true if the action changes a certificate in this status.
 *
 * @param {Action} action
 * @param {string} status
 */
export function changes(action, status) {
  return CHANGES[action].some((each) => each === status);
}

/**
 * Returns the action that the status of a search suggests.
 *
 * @param {URLSearchParams} query
 * @returns {Action}
 */
export function usualAction(query) {
  const status = statusOf(query);
  return status !== 'all' && changes('restore', status) ? 'restore' : 'revoke';
}

/**
 * Returns the treatment of replaced certificates: an action has them too, unless the query says
 * otherwise, because they work until they end.
 *
 * @param {URLSearchParams} query
 */
export function replacedIn(query) {
  return query.has('replaced') ? replacedOf(query) : 'all';
}

/**
 * Returns the query of the certificates that an action changes in a search. The list of one status
 * stands for both statuses of the action, which differ only while a change is pending.
 *
 * @param {URLSearchParams} query
 * @param {Action} action
 */
export function queryOf(query, action) {
  const result = new URLSearchParams(query);
  ['action', 'page', 'continue', 'order', 'direction'].forEach((name) => result.delete(name));
  result.set('status', CHANGES[action][0]);
  result.set('replaced', replacedIn(query));
  return result;
}

/**
 * @param {Chosen} one
 * @param {Chosen} other
 */
export function byName(one, other) {
  return one.common_name < other.common_name ? -1 : one.common_name > other.common_name ? 1 : 0;
}

/**
 * Returns the conditions of a search as the command line writes them.
 *
 * @param {URLSearchParams} query
 */
export function description(query) {
  const conditions = Object.entries(conditionsOf(query));
  return conditions.map(([name, value]) => `${name}=${value}`).join(', ');
}

/**
 * Returns the words of the `certgate` command that does the same; null if no command does.
 *
 * @param {URLSearchParams} query
 * @param {Action} action
 * @param {string[]} reason The words of the reason.
 */
export function commandOf(query, action, reason) {
  const { status: _, ...conditions } = conditionsOf(queryOf(query, action));
  const words = ['certgate', 'cert', action];
  const rest = [];
  let pattern = '*';
  for (const [name, value] of Object.entries(conditions)) {
    if (name.startsWith('common_name') && value.includes('*')) {
      return null;
    }
    switch (name) {
      case 'common_name':
        pattern = value;
        break;
      case 'common_name.startswith':
        pattern = `${value}*`;
        break;
      case 'common_name.contains':
        pattern = `*${value}*`;
        break;
      case 'serial_number':
        rest.push('--serial', value);
        break;
      case 'fingerprint_sha256':
        rest.push('--fingerprint', value);
        break;
      case 'certificate_authority_id':
        rest.push('--ca', value);
        break;
      case 'replaced':
        rest.push('--replaced', value);
        break;
      default:
        if (!(name in FLAGS)) {
          return null;
        }
        rest.push(FLAGS[/** @type {keyof typeof FLAGS} */ (name)], value);
    }
  }
  return [...words, '--match', pattern, ...rest, ...reason, '--wait'];
}

const FLAGS = {
  'issued_on.after': '--issued-since',
  'issued_on.before': '--issued-before',
  'expires_on.after': '--expires-after',
  'expires_on.before': '--expires-before',
  'revoked_on.after': '--revoked-since',
  'revoked_on.before': '--revoked-before',
};
