/**
 * Reads all certificates that meet conditions, in a zone of any size.
 *
 * The pages of a filtered list of the API end after 10,000 matches. A search with more of them is a
 * walk, as in `certgate cert list --all`: each answer says where the next one continues.
 *
 * @typedef {import('../types.js').ClientCertificate} ClientCertificate
 * @typedef {Record<string, string>} Conditions
 *
 * @typedef {object} Answer
 * @property {ClientCertificate[]} items
 * @property {number} total
 * @property {string} [next] Continues a search that stopped, or has more matches than pages.
 *
 * @callback List Reads one page. It resolves with no items and `next` for error 1531.
 * @param {Record<string, string>} parameters
 * @returns {Promise<Answer>}
 *
 * @typedef {object} Limits Smaller ones are for tests.
 * @property {number} page The certificates of a request, the most that the API returns.
 */

/** @type {Limits} */
const LIMITS = { page: 1_000 };

/** The times that a part of a list is read again if its certificates change meanwhile. */
const TRIES = 8;

/** Certificates change faster than a complete list of them can be read. */
export class ChangingError extends Error {}

/**
 * Reads all matches, page after page, in a zone of any size. None is missing and none is there
 * twice, except those that change while they are read.
 *
 * @param {List} list
 * @param {Conditions} conditions `status` and other filters, without an order.
 * @param {Limits} [limits]
 * @returns {AsyncGenerator<ClientCertificate[], void>}
 */
export async function* every(list, conditions, limits = LIMITS) {
  const reader = new Reader(list, limits);
  const first = await reader.page(conditions, { offset: '0' });
  if (first.next === undefined) {
    yield* reader.whole(conditions, first);
    return;
  }
  if (!isSelectiveByName(conditions)) {
    yield* reader.walk(conditions, first);
    return;
  }
  const byName = { ...conditions, order: 'common_name' };
  yield* reader.walk(byName, await reader.page(byName, { offset: '0' }));
}

/**
 * Returns true if a name usually selects fewer certificates than the date in whose order the list
 * is.
 *
 * @param {Conditions} conditions
 */
function isSelectiveByName(conditions) {
  const hasName = ['common_name', 'common_name.startswith'].some((name) => name in conditions);
  return hasName && Object.keys(conditions).some((name) => /_on\.(after|before)$/.test(name));
}

class Reader {
  #list;
  #limits;

  /**
   * @param {List} list
   * @param {Limits} limits
   */
  constructor(list, limits) {
    this.#list = list;
    this.#limits = limits;
  }

  /**
   * Reads a page. It continues a search that found nothing yet until it finds something or ends.
   *
   * @param {Conditions} conditions
   * @param {Record<string, string>} place `offset` or `continue`.
   */
  async page(conditions, place) {
    const parameters = { ...conditions, limit: String(this.#limits.page) };
    let answer = await this.#list({ ...parameters, ...place });
    while (answer.items.length === 0 && answer.next !== undefined) {
      answer = await this.#list({ ...parameters, continue: answer.next });
    }
    return answer;
  }

  /**
   * Yields every part of a walk. Certificates that change move no other one to a part that was
   * read.
   *
   * @param {Conditions} conditions
   * @param {Answer} first
   */
  async *walk(conditions, first) {
    for (let part = first; ;) {
      if (part.items.length > 0) {
        yield part.items;
      }
      if (part.next === undefined) {
        return;
      }
      part = await this.page(conditions, { continue: part.next });
    }
  }

  /**
   * Yields every certificate of a list once. Each page begins with the last certificate of the page
   * before: if it does not, certificates left the list, and others moved to pages that were read.
   *
   * @param {Conditions} conditions
   * @param {Answer} first
   */
  async *whole(conditions, first) {
    const { page } = this.#limits;
    /** @type {Set<string>} */
    let before = new Set();
    let offset = 0;
    let tries = 0;
    for (let answer = first; ;) {
      const ids = answer.items.map(({ id }) => id);
      const isJoined = before.size === 0 || ids.some((id) => before.has(id)) || offset === 0;
      if (!isJoined) {
        tries += 1;
        if (tries === TRIES) {
          throw new ChangingError();
        }
        offset = Math.max(0, offset - page);
        answer = await this.page(conditions, { offset: String(offset) });
        continue;
      }
      const items = answer.items.filter(({ id }) => !before.has(id));
      if (items.length > 0) {
        yield items;
        tries = 0;
      }
      if (ids.length < page) {
        return;
      }
      before = items.length > 0 ? new Set(ids) : new Set([...before, ...ids]);
      offset += page - 1;
      answer = await this.page(conditions, { offset: String(offset) });
    }
  }
}
