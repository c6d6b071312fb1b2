/** Sends the request of a bulk action for one certificate, and says what its answer means. */

import { ApiError, LostError } from '../api.js';
import { lastChange } from '../certificates/progress.js';
import { bodyOf } from '../certificates/reasons.js';
import { historyPath, pathOf, wasRevokedBefore } from '../certificates/requests.js';

/** The wait before a server that cannot be reached is asked again, in seconds. */
const LOST_SECONDS = 2;

/** The wait before a busy server is asked again that does not say how long, in seconds. */
const BUSY_SECONDS = 2;

/** The longest wait that is accepted from `Retry-After`, in seconds. */
const BUSY_SECONDS_MAX = 60;

/** Refusals of one certificate: all other refusals affect every certificate. */
const OF_ONE = [400, 404, 409];

/**
 * Returns the function that a run uses.
 *
 * @param {object} options
 * @param {import('../api.js').Api} options.api
 * @param {import('./record.js').Record} options.record
 * @returns {import('./run.js').Send}
 */
export function sender({ api, record }) {
  const { action, reason, zone_id: zone } = record.head;
  // A request that is under way ends with its answer, also if the user leaves the page.
  const request = { isOnce: true };
  const body =
    reason === null
      ? undefined
      : bodyOf(/** @type {import('../certificates/reasons.js').Reason} */ (reason));
  return async ({ id }, mayBeChanged) => {
    const path = pathOf(zone, id);
    try {
      if (action === 'restore') {
        await api.patch(path, { reactivate: true }, request);
        return { kind: 'changed' };
      }
      const { messages } = await api.delete(path, body, request);
      if (!wasRevokedBefore(messages)) {
        return { kind: 'changed' };
      }
      // It was revoked before: perhaps by an earlier request of ours, whose answer was lost.
      const isOurs = mayBeChanged && (await isRevokedBy(api, record, id, request));
      return { kind: isOurs ? 'changed' : 'unchanged' };
    } catch (error) {
      return replyTo(error);
    }
  };
}

/**
 * Returns true if a request of the record revoked the certificate. It was active when the list was
 * made, so that its last revocation is of the time afterwards. The file of a record does not say
 * which token worked with it.
 *
 * @param {import('../api.js').Api} api
 * @param {import('./record.js').Record} record
 * @param {string} id
 * @param {import('../api.js').Options} options
 */
export async function isRevokedBy(api, { callers, head, isFromFile }, id, options) {
  const { result } = await api.get(historyPath(head.zone_id, id), {}, options);
  const change = lastChange(result);
  if (change?.action !== 'revoked') {
    return false;
  }
  return callers.has(change.actor.id ?? '') || (isFromFile && change.at >= head.created_on);
}

/**
 * @param {unknown} error
 * @returns {import('./run.js').Reply}
 */
function replyTo(error) {
  if (error instanceof LostError) {
    return { kind: 'again', seconds: LOST_SECONDS, isSent: true, why: 'lost' };
  }
  if (!(error instanceof ApiError)) {
    throw error;
  }
  const { message, retryAfter, status } = error;
  if (status === 429 || status === 503) {
    const seconds = Math.min(retryAfter ?? BUSY_SECONDS, BUSY_SECONDS_MAX);
    return { kind: 'again', seconds, isSent: status === 503, why: 'busy' };
  }
  if (status >= 500 || status === 408) {
    return { kind: 'again', seconds: LOST_SECONDS, isSent: true, why: 'lost' };
  }
  return { kind: OF_ONE.includes(status) ? 'failed' : 'stop', problem: message };
}
