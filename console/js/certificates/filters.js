/**
 * The filters of the list of certificates: from the query of the fragment to the API's parameters
 * and to chips. The fragment has the API's own names, so that a link says what it shows.
 *
 * @typedef {'name'|'id'|'serial'|'fingerprint'|'authority'|'expires'|'issued'|'revoked'} Kind
 *
 * @typedef {object} Chip
 * @property {Kind} kind
 * @property {string[]} parameters The parameters that the chip stands for.
 * @property {Record<string, string>} values Their values.
 */

/** Each chip, and the parameters that it stands for. */
const KINDS = /** @type {const} */ ([
  ['name', ['common_name', 'common_name.startswith', 'common_name.contains']],
  ['id', ['id.startswith']],
  ['serial', ['serial_number']],
  ['fingerprint', ['fingerprint_sha256']],
  ['authority', ['certificate_authority_id']],
  ['expires', ['expires_on.after', 'expires_on.before']],
  ['issued', ['issued_on.after', 'issued_on.before']],
  ['revoked', ['revoked_on.after', 'revoked_on.before']],
]);

/** The filters that the text of the search box sets. */
const SEARCH_BOX = ['name', 'id', 'serial', 'fingerprint'];

/** With these filters, the API's default of `status` is `all`. */
const OF_ONE = ['serial_number', 'fingerprint_sha256', 'id.startswith'];

export const STATUSES = /** @type {const} */ ([
  'active',
  'pending_revocation',
  'revoked',
  'pending_reactivation',
  'all',
]);

/** @typedef {typeof STATUSES[number]} StatusFilter */

/**
 * Certificates that a renewal replaced: the list hides them (`false`), shows them too, or shows
 * only them (`true`). The API has no word for `all`: it is the absence of the parameter.
 */
export const REPLACED = /** @type {const} */ (['false', 'all', 'true']);

/** @typedef {typeof REPLACED[number]} ReplacedFilter */

export const ORDERS = ['common_name', 'expires_on', 'issued_on'];

/** The page sizes that the API accepts in `limit` go to 1,000. These fit on a screen. */
export const PAGE_SIZES = [20, 50, 100, 200];
export const PAGE_SIZE_DEFAULT = 50;

/** The matches up to which a search counts exactly and has pages. */
export const MATCHES_MAX = 10_000;

/** @param {URLSearchParams} query */
export function chipsOf(query) {
  /** @type {Chip[]} */
  const chips = [];
  for (const [kind, parameters] of KINDS) {
    const given = parameters.filter((name) => query.get(name));
    if (given.length > 0) {
      const values = Object.fromEntries(given.map((name) => [name, query.get(name) ?? '']));
      chips.push({ kind, parameters: [...parameters], values });
    }
  }
  return chips;
}

/**
 * Returns the status that the list shows.
 *
 * @param {URLSearchParams} query
 * @returns {StatusFilter}
 */
export function statusOf(query) {
  const asked = query.get('status')?.toLowerCase();
  const known = STATUSES.find((status) => status === asked);
  return known ?? (isOfOne(query) ? 'all' : 'active');
}

/**
 * Returns the treatment of replaced certificates in the list. A search for one certificate finds it
 * in any place of its line.
 *
 * @param {URLSearchParams} query
 * @returns {ReplacedFilter}
 */
export function replacedOf(query) {
  const asked = query.get('replaced')?.toLowerCase();
  const known = REPLACED.find((place) => place === asked);
  return known ?? (isOfOne(query) ? 'all' : 'false');
}

/** @param {URLSearchParams} query */
function isOfOne(query) {
  return OF_ONE.some((name) => query.get(name));
}

/**
 * Returns true if the status and the place in a line are the only conditions.
 *
 * @param {URLSearchParams} query
 */
export function isStatusOnly(query) {
  return chipsOf(query).length === 0;
}

/**
 * Returns the conditions as parameters of the API.
 *
 * @param {URLSearchParams} query
 * @returns {Record<string, string>}
 */
export function conditionsOf(query) {
  const values = chipsOf(query).map((chip) => Object.entries(chip.values));
  const replaced = replacedOf(query);
  return {
    status: statusOf(query),
    ...(replaced === 'all' ? {} : { replaced }),
    ...Object.fromEntries(values.flat()),
  };
}

/**
 * Returns the page that the fragment names.
 *
 * @param {URLSearchParams} query
 */
export function pageOf(query) {
  const page = whole(query.get('page'), Number.MAX_SAFE_INTEGER) ?? 1;
  const asked = whole(query.get('per_page'), 1_000);
  const size = PAGE_SIZES.find((known) => known === asked) ?? PAGE_SIZE_DEFAULT;
  const order = ORDERS.find((known) => known === query.get('order')) ?? null;
  const asc = query.get('direction');
  /** @type {'asc' | 'desc' | null} */
  const direction = asc === 'asc' || asc === 'desc' ? asc : null;
  return { page, size, order, direction };
}

/**
 * @param {string | null} text
 * @param {number} max
 */
function whole(text, max) {
  const number = /^[1-9][0-9]{0,15}$/.test(text ?? '') ? Number(text) : null;
  return number !== null && number <= max ? number : null;
}

/**
 * Returns the parameters of one page.
 *
 * @param {URLSearchParams} query
 * @returns {Record<string, string>}
 */
export function requestOf(query) {
  const { page, size, order, direction } = pageOf(query);
  const next = query.get('continue');
  return {
    ...conditionsOf(query),
    ...(order ? { order } : {}),
    ...(direction ? { direction } : {}),
    ...(next ? { continue: next } : { page: String(page) }),
    limit: String(size),
  };
}

/**
 * Returns a query with other values; null removes one. Everything but the page itself leads back to
 * page 1, and to the beginning of a search that was continued.
 *
 * @param {URLSearchParams} query
 * @param {Record<string, string | null>} changes
 */
export function changed(query, changes) {
  const result = new URLSearchParams(query);
  result.delete('page');
  result.delete('continue');
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') {
      result.delete(name);
    } else {
      result.set(name, value);
    }
  }
  return result;
}

/**
 * Returns a query without the filters that the search box sets.
 *
 * @param {URLSearchParams} query
 */
export function withoutSearch(query) {
  const names = KINDS.filter(([kind]) => SEARCH_BOX.includes(kind)).flatMap(([, names]) => names);
  return changed(query, Object.fromEntries(names.map((name) => [name, null])));
}

/**
 * Returns a query without any filter, for example to begin again. The order and the page size stay.
 *
 * @param {URLSearchParams} query
 */
export function withoutFilters(query) {
  const names = [...KINDS.flatMap(([, names]) => names), 'status', 'replaced'];
  return changed(query, Object.fromEntries(names.map((name) => [name, null])));
}

/**
 * Returns the text of the search box for the filters of a link.
 *
 * @param {URLSearchParams} query
 */
export function searchText(query) {
  for (const chip of chipsOf(query)) {
    if (SEARCH_BOX.includes(chip.kind)) {
      const [[name, value] = ['', '']] = Object.entries(chip.values);
      return name === 'common_name' ? `"${value}"` : value;
    }
  }
  return '';
}
