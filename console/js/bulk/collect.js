/** Makes the list of a bulk action. */

import { conditionsOf } from '../certificates/filters.js';
import { every } from '../certificates/matches.js';
import { pagesOf } from '../certificates/requests.js';
import { CHANGES, byName, queryOf } from './plan.js';

/** @typedef {import('../certificates/selection.js').Chosen} Chosen */

/**
 * Reads all certificates that a search finds and the action changes, in the order of names.
 *
 * @param {import('../api.js').Api} api
 * @param {string} zone
 * @param {URLSearchParams} query
 * @param {import('./plan.js').Action} action
 * @param {AbortSignal} signal
 * @param {(count: number) => void} onCount Called with the number of certificates so far.
 * @returns {Promise<Chosen[]>}
 */
export async function collect(api, zone, query, action, signal, onCount) {
  /** @type {Map<string, Chosen>} */
  const found = new Map();
  const list = pagesOf(api, zone, { signal });
  for (const status of CHANGES[action]) {
    const conditions = { ...conditionsOf(queryOf(query, action)), status };
    for await (const items of every(list, conditions)) {
      for (const { id, common_name, status, expires_on, certgate } of items) {
        found.set(id, { id, common_name, status, expires_on, certgate });
      }
      onCount(found.size);
    }
  }
  return [...found.values()].toSorted(byName);
}
