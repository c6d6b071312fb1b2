/** The requests about client certificates. */

import { ApiError } from '../api.js';
import { MATCHES_MAX } from './filters.js';

/** The search found nothing within the server's limit of work, and says where to continue. */
const NOTHING_YET = 1531;

/** In `messages`: the certificate was revoked before, and nothing changed. */
const REVOKED_BEFORE = 1407;

/** In `messages` of a list: more certificates match than were counted. */
const NOT_COUNTED = 1530;

/** @typedef {import('../types.js').ClientCertificate} ClientCertificate */

/** @param {string} zone */
export function listPath(zone) {
  return `/client/v4/zones/${zone}/client_certificates`;
}

/**
 * @param {string} zone
 * @param {string} id
 */
export function pathOf(zone, id) {
  return `${listPath(zone)}/${encodeURIComponent(id)}`;
}

/**
 * @param {string} zone
 * @param {string} id
 */
export function historyPath(zone, id) {
  return `/certgate/v1/zones/${zone}/client_certificates/${encodeURIComponent(id)}/history`;
}

/**
 * @typedef {object} Listed
 * @property {ClientCertificate[]} items
 * @property {import('../types.js').ResultInfo} info
 * @property {boolean} isCapped More certificates match than `total_count` says.
 */

/**
 * Reads one page. A search that found nothing yet continues until it finds something or ends.
 *
 * @param {import('../api.js').Api} api
 * @param {string} zone
 * @param {Record<string, string>} parameters
 * @param {{ signal?: AbortSignal, quiet?: boolean, onContinue?: () => void }} options
 * @returns {Promise<Listed>}
 */
export async function readList(api, zone, parameters, { onContinue, ...options }) {
  let asked = parameters;
  for (;;) {
    try {
      const { result, result_info: info, messages } = await api.get(listPath(zone), asked, options);
      const isCapped = messages.some(({ code }) => code === NOT_COUNTED);
      const { continue: _, ...ofPages } = info;
      // Such a list has pages, and nothing to continue.
      const hasPages = asked['continue'] === undefined && info.total_count >= MATCHES_MAX;
      return { items: result, info: hasPages ? ofPages : info, isCapped };
    } catch (error) {
      const next =
        error instanceof ApiError && error.code === NOTHING_YET ? continueOf(error) : null;
      if (next === null) {
        throw error;
      }
      onContinue?.();
      const { page: _, offset: __, ...filters } = parameters;
      asked = { ...filters, continue: next };
    }
  }
}

/** @param {ApiError} error */
function continueOf(error) {
  return error.errors[0]?.continue ?? null;
}

/**
 * Returns the function that reads pages for `every`.
 *
 * @param {import('../api.js').Api} api
 * @param {string} zone
 * @param {{ signal?: AbortSignal }} options
 * @returns {import('./matches.js').List}
 */
export function pagesOf(api, zone, options) {
  return async (parameters) => {
    try {
      const { result, result_info: info } = await api.get(listPath(zone), parameters, options);
      return { items: result, total: info.total_count, next: info.continue };
    } catch (error) {
      if (error instanceof ApiError && error.code === NOTHING_YET) {
        return { items: [], total: 0, next: continueOf(error) ?? undefined };
      }
      throw error;
    }
  };
}

/** @param {readonly import('../types.js').Message[]} messages */
export function wasRevokedBefore(messages) {
  return messages.some(({ code }) => code === REVOKED_BEFORE);
}
