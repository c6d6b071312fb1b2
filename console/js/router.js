/** Opens the page that the fragment names. The fragment never reaches the server. */

import { routes } from './routes.js';

/** The path of the page that opens without a fragment. */
const FIRST = 'overview';

/** The parameter of the zone, which the router reads and writes for every page. */
const ZONE = 'zone';

/**
 * @typedef {object} Target
 * @property {import('./routes.js').Route | null} route `null`: no page has this path.
 * @property {Record<string, string>} params
 * @property {URLSearchParams} query Without the zone.
 * @property {string | null} zone
 */

/**
 * Reads a fragment such as `#/certificates/0199…?zone=…`.
 * @param {string} fragment
 * @returns {Target}
 */
export function parse(fragment) {
  const [path = '', text = ''] = splitOnce(fragment.replace(/^#\/?/, ''), '?');
  const query = new URLSearchParams(text);
  const zone = query.get(ZONE);
  query.delete(ZONE);
  const parts = (path || FIRST).split('/').filter(Boolean);
  for (const route of routes) {
    const params = match(route.path.split('/'), parts);
    if (params) return { route, params, query, zone };
  }
  return { route: null, params: {}, query, zone };
}

/**
 * Returns the fragment of a page, with the zone last.
 * @param {string} path Without `#/`.
 * @param {URLSearchParams} query
 * @param {string | null} zone
 */
export function format(path, query, zone) {
  const all = new URLSearchParams(query);
  if (zone !== null) all.set(ZONE, zone);
  const encoded = all.toString();
  return `#/${path}${encoded && `?${encoded}`}`;
}

/** Returns the path of the present fragment, without `#/` and the query. */
export function currentPath() {
  return (splitOnce(location.hash.replace(/^#\/?/, ''), '?')[0] ?? '') || FIRST;
}

/**
 * @param {string[]} pattern
 * @param {string[]} parts
 */
function match(pattern, parts) {
  if (pattern.length !== parts.length) return null;
  /** @type {Record<string, string>} */
  const params = {};
  for (const [index, expected] of pattern.entries()) {
    const part = parts[index] ?? '';
    if (expected.startsWith(':')) {
      try {
        params[expected.slice(1)] = decodeURIComponent(part);
      } catch {
        return null;
      }
    } else if (expected !== part) {
      return null;
    }
  }
  return params;
}

/**
 * @param {string} whole
 * @param {string} separator
 */
function splitOnce(whole, separator) {
  const index = whole.indexOf(separator);
  return index < 0 ? [whole] : [whole.slice(0, index), whole.slice(index + 1)];
}
