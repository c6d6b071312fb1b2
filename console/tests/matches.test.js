import assert from 'node:assert/strict';
import test from 'node:test';

import { ChangingError, every } from '../js/certificates/matches.js';

const MINUTE = 60_000;
const BEGIN = Date.UTC(2026, 10, 30);
const limits = { page: 8, matches: 20 };

/**
 * @param {number} number
 * @param {number} minute
 * @param {Record<string, unknown>} [other]
 */
function certificate(number, minute, other) {
  return /** @type {any} */ ({
    id: number.toString(16).padStart(32, '0'),
    common_name: `Device-${number}`,
    status: 'active',
    issued_on: new Date(BEGIN + minute * MINUTE).toISOString(),
    expires_on: new Date(BEGIN + (minute + 1_000) * MINUTE).toISOString(),
    certificate_authority: { id: 'ca', name: 'CA' },
    ...other,
  });
}

/**
 * A list with the limits of the API: pages of 8, which reach 20 matches of filtered lists. Newest
 * first.
 *
 * @param {() => any[]} all
 */
function lists(all) {
  let requests = 0;
  /** @type {import('../js/certificates/matches.js').List} */
  const list = async (parameters) => {
    requests += 1;
    const { status, offset = '0', limit, continue: last, ...filters } = parameters;
    const before = Date.parse(filters['issued_on.before'] ?? '9999-01-01');
    const after = Date.parse(filters['issued_on.after'] ?? '1900-01-01');
    const begins = filters['common_name.startswith']?.toLowerCase() ?? '';
    const certificates = all();
    const place = certificates.findIndex(({ id }) => id === last);
    const matching = certificates.filter(
      (one, index) =>
        index > place &&
        (status === 'all' || one.status === status) &&
        after < Date.parse(one.issued_on) &&
        Date.parse(one.issued_on) < before &&
        (filters['replaced'] === undefined ||
          String(one.certgate !== undefined) === filters['replaced']) &&
        one.common_name.toLowerCase().startsWith(begins),
    );
    const isFiltered = Object.keys(filters).length > 0;
    const first = Number(offset);
    assert.ok(!isFiltered || first < limits.matches, 'the page is beyond the matches');
    const items = matching.slice(first, first + Number(limit));
    const isWalk = last !== undefined || (isFiltered && matching.length > limits.matches);
    return {
      items,
      total: isFiltered ? Math.min(matching.length, limits.matches) : matching.length,
      ...(isWalk && items.length < matching.length ? { next: items.at(-1).id } : {}),
    };
  };
  return { list, requests: () => requests };
}

/**
 * @param {import('../js/certificates/matches.js').List} list
 * @param {Record<string, string>} conditions
 */
async function ids(list, conditions) {
  const found = [];
  for await (const items of every(list, conditions, limits)) {
    found.push(...items.map(({ id }) => Number.parseInt(id, 16)));
  }
  return found.toSorted((one, other) => one - other);
}

/** @param {number} count */
const numbers = (count) => Array.from({ length: count }, (_, index) => index);

test('a list by status has no end', async () => {
  const all = numbers(100).map((number) => certificate(number, -number));
  assert.deepEqual(await ids(lists(() => all).list, { status: 'active' }), numbers(100));
});

test('more matches than pages reach are walked', async () => {
  const all = numbers(100).map((number) => certificate(number, -number * 7));
  const conditions = { status: 'active', 'common_name.startswith': 'device-' };
  assert.deepEqual(await ids(lists(() => all).list, conditions), numbers(100));
});

test('an adopted certificate is found among its neighbours of another time', async () => {
  const crowd = numbers(60).map((number) => certificate(number, 0));
  // Recorded after others, and issued before them.
  const later = numbers(30).map((number) => certificate(number + 100, 60));
  const all = [...later.slice(0, 15), certificate(99, 0), ...later.slice(15), ...crowd];
  const conditions = { status: 'active', 'common_name.startswith': 'device-' };
  const found = await ids(lists(() => all).list, conditions);
  assert.equal(new Set(found).size, found.length);
  assert.deepEqual(found, [...numbers(60), 99, ...later.map((_, number) => number + 100)]);
});

test('matches of one minute are found among others', async () => {
  const others = [certificate(200, 1), certificate(201, -1), certificate(202, 0)];
  others[2].common_name = 'other';
  const revoked = certificate(203, 0, { status: 'revoked' });
  const crowd = numbers(60).map((number) => certificate(number, 0));
  const [newer, older, other] = others;
  const all = [newer, ...crowd, other, revoked, older];
  const conditions = { status: 'active', 'common_name.startswith': 'DEVICE-' };
  assert.deepEqual(await ids(lists(() => all).list, conditions), [...numbers(60), 200, 201]);
});

test('the newest of each line are found among more certificates than a list has', async () => {
  const all = numbers(60).map((number) =>
    certificate(number, 0, number % 3 === 0 ? { certgate: { replaced_by: 'x' } } : {}),
  );
  const newest = numbers(60).filter((number) => number % 3 !== 0);
  const { list } = lists(() => all);
  assert.deepEqual(await ids(list, { status: 'active', replaced: 'false' }), newest);
  const replaced = await ids(list, { status: 'active', replaced: 'true' });
  assert.deepEqual(replaced, numbers(20).map((number) => number * 3));
});

test('a certificate that leaves or enters the list while it is read makes no gap', async () => {
  const all = numbers(60).map((number) => certificate(number, -number));
  all[50].status = 'revoked';
  const { list, requests } = lists(() => {
    // Those of the first page leave, and others move up to where they were.
    if (requests() === 2) {
      numbers(9).forEach((number) => (all[number].status = 'revoked'));
    }
    if (requests() === 5) {
      all[50].status = 'active';
      all.unshift(certificate(60, 1));
    }
    return all;
  });
  // 8 left before it was read.
  const expected = numbers(60).filter((number) => number !== 8);
  assert.deepEqual(await ids(list, { status: 'active' }), expected);
});

test('a certificate that leaves a walk makes no gap', async () => {
  const all = numbers(60).map((number) => certificate(number, -number));
  const { list, requests } = lists(() => {
    // Those of the first page leave, and one that was not read yet.
    if (requests() === 2) {
      [...numbers(8), 30].forEach((number) => (all[number].status = 'revoked'));
      all.unshift(certificate(60, 1));
    }
    return all;
  });
  const conditions = { status: 'active', 'common_name.startswith': 'device-' };
  const expected = numbers(60).filter((number) => number !== 30);
  assert.deepEqual(await ids(list, conditions), expected);
});

test('a name with dates is read in the order of names', async () => {
  /** @type {(string | undefined)[]} */
  const orders = [];
  const { list } = lists(() => numbers(60).map((number) => certificate(number, 0)));
  const conditions = {
    status: 'active',
    'common_name.startswith': 'device-',
    'issued_on.after': '2026-01-01',
  };
  const ordered = (/** @type {Record<string, string>} */ { order, ...parameters }) => {
    orders.push(order);
    return list(parameters);
  };
  assert.deepEqual(await ids(ordered, conditions), numbers(60));
  assert.deepEqual([orders[0], ...new Set(orders.slice(1))], [undefined, 'common_name']);
});

test('a list that always changes is an error, not a part of it', async () => {
  const all = numbers(400).map((number) => certificate(number, -number));
  const { list, requests } = lists(() => {
    all.splice(0, requests() > 20 ? 12 : 0);
    return all;
  });
  await assert.rejects(ids(list, { status: 'active' }), ChangingError);
});

test('a search that found nothing yet continues', async () => {
  /** @type {string[]} */
  const asked = [];
  /** @type {import('../js/certificates/matches.js').List} */
  const list = async (parameters) => {
    asked.push(parameters['continue'] ?? `offset ${parameters['offset']}`);
    const items = parameters['continue'] === 'b' ? 1 : 0;
    const next = { 'offset 0': 'a', a: 'b' }[asked.at(-1) ?? ''];
    return { items: numbers(items).map((one) => certificate(one, 0)), total: 1, next };
  };
  assert.deepEqual(await ids(list, { status: 'all', 'common_name.contains': 'evi' }), [0]);
  assert.deepEqual(asked, ['offset 0', 'a', 'b']);
});
