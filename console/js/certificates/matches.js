/**
 * Reads all certificates that meet conditions, in a zone of any size.
 *
 * A filtered list of the API ends after 10,000 matches. A search with more of them is divided into
 * windows of time, as `certgate cert list --all` does. Only certificates that were issued in the
 * same minute cannot be divided: they are searched in the list without filters, which has no end.
 *
 * @typedef {import('../types.js').ClientCertificate} ClientCertificate
 * @typedef {Record<string, string>} Conditions
 *
 * @typedef {object} Answer
 * @property {ClientCertificate[]} items
 * @property {number} total
 * @property {string} [next] Continues a search that stopped at the server's limit of work.
 *
 * @callback List Reads one page. It resolves with no items and `next` for error 1531.
 * @param {Record<string, string>} parameters
 * @returns {Promise<Answer>}
 *
 * @typedef {object} Limits Smaller ones are for tests.
 * @property {number} page The certificates of a request, the most that the API returns.
 * @property {number} matches The matches up to which the API counts exactly and has pages.
 */

/** @type {Limits} */
const LIMITS = { page: 1_000, matches: 10_000 };

/** The times that a part of a list is read again if its certificates change meanwhile. */
const TRIES = 8;

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Certificates end in this year at the latest (RFC 5280 §4.1.2.5). */
const EARLIEST = 0;
const LATEST = Date.UTC(9999, 11, 31, 23, 59);

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
  const { status: _, ...filters } = conditions;
  const first = await reader.first(conditions);
  if (Object.keys(filters).length === 0 || reader.isExact(first)) {
    yield* reader.whole(conditions, first);
    return;
  }
  /** @type {Conditions[]} */
  const crowded = [];
  yield* reader.windows(conditions, crowded);
  if (crowded.length > 0) {
    yield* reader.scan(crowded);
  }
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
   * @param {number} offset
   */
  async #page(conditions, offset) {
    const parameters = { ...conditions, limit: String(this.#limits.page) };
    let answer = await this.#list({ ...parameters, offset: String(offset) });
    let isContinued = false;
    while (answer.items.length === 0 && answer.next !== undefined) {
      answer = await this.#list({ ...parameters, continue: answer.next });
      isContinued = true;
    }
    // A list that begins where a search stopped has no pages after its first.
    const isCut = isContinued && answer.items.length === this.#limits.page;
    return isCut ? { ...answer, total: this.#limits.matches } : answer;
  }

  /** @param {Conditions} conditions */
  first(conditions) {
    return this.#page(conditions, 0);
  }

  /** @param {Answer} answer */
  isExact(answer) {
    return answer.next === undefined && answer.total < this.#limits.matches;
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
        answer = await this.#page(conditions, offset);
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
      answer = await this.#page(conditions, offset);
    }
  }

  /**
   * Divides the matches into windows that a list can have. `crowded` receives the conditions of
   * windows that have more matches and cannot be divided.
   *
   * @param {Conditions} conditions
   * @param {Conditions[]} crowded
   */
  async *windows(conditions, crowded) {
    const axis = axisOf(conditions);
    const stack = await this.#spans();
    for (let window = stack.pop(); window; window = stack.pop()) {
      const narrowed = within(conditions, axis, window);
      const one = await this.#list({ ...narrowed, limit: '1', offset: '0' });
      if (this.isExact(one)) {
        if (one.items.length > 0) {
          yield* this.whole(narrowed, await this.first(narrowed));
        }
        continue;
      }
      const middle = middleOf(window, axis);
      if (middle === null) {
        crowded.push(narrowed);
      } else {
        stack.push({ from: middle, to: window.to }, { from: window.from, to: middle });
      }
    }
  }

  /** Returns the first windows: the time in which the zone issued, and the times around it. */
  async #spans() {
    const { items, total } = await this.#one(0);
    const [last] = items;
    const [first] = (await this.#one(Math.max(0, total - 1))).items;
    const from = first ? Date.parse(first.issued_on) : EARLIEST;
    // The clock of the server may be ahead, and revocations are of today.
    const to = Math.max(last ? Date.parse(last.issued_on) : LATEST, Date.now()) + DAY;
    const spans = [
      { from: to, to: LATEST },
      { from, to },
      { from: EARLIEST, to: from },
    ];
    return spans.filter((span) => span.from < span.to);
  }

  /**
   * Reads one certificate of the list without filters.
   *
   * @param {number} offset
   */
  #one(offset) {
    return this.#list({ status: 'all', limit: '1', offset: String(offset) });
  }

  /**
   * Finds the matches of crowded windows in the list without filters, which loses none: new
   * certificates only move others to later pages.
   *
   * @param {Conditions[]} crowded
   */
  async *scan(crowded) {
    const matchers = crowded.map(matcher);
    const oldest = Math.min(...crowded.map((one) => timeOf(one['issued_on.after'], EARLIEST)));
    const newest = Math.max(...crowded.map((one) => timeOf(one['issued_on.before'], LATEST)));
    /** @type {Set<string>} */
    const seen = new Set();
    yield* this.#scanFrom(await this.#firstOffset(newest), oldest, matchers, seen);
    // Adopted certificates are older than their neighbours in the list.
    if (!(await this.#hasFirstMatches(crowded, seen))) {
      yield* this.#scanFrom(0, EARLIEST, matchers, seen);
    }
  }

  /**
   * Reads the list of all certificates up to a page that was issued before `oldest`.
   *
   * @param {number} begin
   * @param {number} oldest
   * @param {readonly ((certificate: ClientCertificate) => boolean)[]} matchers
   * @param {Set<string>} seen
   */
  async *#scanFrom(begin, oldest, matchers, seen) {
    let isPast = false;
    for (let offset = begin; !isPast; offset += this.#limits.page) {
      const { items } = await this.#page({ status: 'all' }, offset);
      const found = items.filter((item) => !seen.has(item.id) && matchers.some((is) => is(item)));
      found.forEach(({ id }) => seen.add(id));
      if (found.length > 0) {
        yield found;
      }
      const first = items[0] ? Date.parse(items[0].issued_on) : EARLIEST;
      isPast = first <= oldest || items.length < this.#limits.page;
    }
  }

  /**
   * Finds a place in the list of all certificates, at most a page before the first certificate that
   * was issued before `newest`.
   *
   * @param {number} newest
   */
  async #firstOffset(newest) {
    let { total: high } = await this.#one(0);
    let low = 0;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const [one] = (await this.#one(middle)).items;
      if (one && Date.parse(one.issued_on) >= newest) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return Math.max(0, low - this.#limits.page);
  }

  /**
   * @param {Conditions[]} crowded
   * @param {Set<string>} seen
   */
  async #hasFirstMatches(crowded, seen) {
    for (const conditions of crowded) {
      const { items } = await this.first(conditions);
      if (!items.every(({ id }) => seen.has(id))) {
        return false;
      }
    }
    return true;
  }
}

/**
 * Returns the time by which to divide: revocations have one of their own.
 *
 * @param {Conditions} conditions
 * @returns {'issued_on' | 'revoked_on'}
 */
function axisOf(conditions) {
  const isRevoked = ['revoked', 'pending_revocation'].includes(conditions['status'] ?? '');
  const isLimited = conditions['revoked_on.after'] ?? conditions['revoked_on.before'];
  return isRevoked || isLimited ? 'revoked_on' : 'issued_on';
}

/**
 * Returns the middle of a window; null if it is as short as the times are precise.
 *
 * @param {{ from: number, to: number }} window
 * @param {'issued_on' | 'revoked_on'} axis
 */
function middleOf({ from, to }, axis) {
  const step = axis === 'issued_on' ? MINUTE : 1;
  const middle = Math.floor((from + (to - from) / 2) / step) * step;
  return from < middle && middle < to ? middle : null;
}

/**
 * Returns the conditions in a window without its end.
 *
 * @param {Conditions} conditions
 * @param {'issued_on' | 'revoked_on'} axis
 * @param {{ from: number, to: number }} window
 */
function within(conditions, axis, { from, to }) {
  const result = { ...conditions };
  const [after, before] = [`${axis}.after`, `${axis}.before`];
  // Both ends are exclusive, and the server has microseconds.
  if (from > timeOf(conditions[after], EARLIEST)) {
    result[after] = new Date(from - 1).toISOString().replace('Z', '999Z');
  }
  if (to < timeOf(conditions[before], LATEST)) {
    result[before] = new Date(to).toISOString();
  }
  return result;
}

/**
 * @param {string | undefined} text
 * @param {number} without
 */
function timeOf(text, without) {
  return text === undefined ? without : Date.parse(text);
}

/**
 * Returns the check of conditions on a certificate, for those that crowded windows can have. IDs,
 * serial numbers and fingerprints never have so many matches.
 *
 * @param {Conditions} conditions
 * @returns {(certificate: ClientCertificate) => boolean}
 */
function matcher(conditions) {
  const exact = fold(conditions['common_name']);
  const begins = fold(conditions['common_name.startswith']);
  const contains = fold(conditions['common_name.contains']);
  const { status = 'active', certificate_authority_id: authority, replaced } = conditions;
  return (certificate) => {
    const name = fold(certificate.common_name) ?? '';
    return (
      (status === 'all' || certificate.status === status) &&
      (exact === null || name === exact) &&
      (begins === null || name.startsWith(begins)) &&
      (contains === null || name.includes(contains)) &&
      (authority === undefined || certificate.certificate_authority.id === authority) &&
      (replaced === undefined || isReplaced(certificate) === (replaced === 'true')) &&
      isInside(certificate.issued_on, conditions, 'issued_on') &&
      isInside(certificate.expires_on, conditions, 'expires_on') &&
      certificate.id.startsWith(conditions['id.startswith'] ?? '')
    );
  };
}

/** @param {ClientCertificate} certificate */
function isReplaced({ certgate }) {
  return certgate?.replaced_by !== undefined;
}

/**
 * @param {string} time A whole minute.
 * @param {Conditions} conditions
 * @param {string} axis
 */
function isInside(time, conditions, axis) {
  const instant = Date.parse(time);
  return (
    timeOf(conditions[`${axis}.after`], -Infinity) < instant &&
    instant < timeOf(conditions[`${axis}.before`], Infinity)
  );
}

/**
 * Folds letter case character by character, as the server does: the lower case of a text depends on
 * the neighbours of a sigma.
 *
 * @param {string | undefined} name
 */
function fold(name) {
  return name === undefined ? null : Array.from(name, (letter) => letter.toLowerCase()).join('');
}
