import assert from 'node:assert/strict';
import test from 'node:test';

import {
  changed,
  chipsOf,
  conditionsOf,
  isStatusOnly,
  replacedOf,
  requestOf,
  searchText,
  statusOf,
  withoutFilters,
  withoutSearch,
} from '../js/certificates/filters.js';

/** @param {string} text */
const query = (text) => new URLSearchParams(text);

test('a link shows active certificates, the newest of each line, unless it says otherwise', () => {
  assert.deepEqual(requestOf(query('')), {
    status: 'active',
    replaced: 'false',
    page: '1',
    limit: '50',
  });
  for (const [text, place] of [
    ['replaced=all', 'all'],
    ['replaced=TRUE', 'true'],
    ['replaced=nonsense', 'false'],
    ['fingerprint_sha256=ab', 'all'],
    ['fingerprint_sha256=ab&replaced=false', 'false'],
  ]) {
    assert.equal(replacedOf(query(text ?? '')), place, text);
  }
  assert.equal('replaced' in conditionsOf(query('replaced=all')), false);
  assert.equal(conditionsOf(query('replaced=true'))['replaced'], 'true');
  assert.equal(statusOf(query('status=REVOKED')), 'revoked');
  assert.equal(statusOf(query('status=nonsense')), 'active');
  assert.equal(statusOf(query('serial_number=ab')), 'all');
  assert.equal(statusOf(query('serial_number=ab&status=active')), 'active');
  assert.ok(isStatusOnly(query('status=all&page=3')));
});

test('malformed and unknown parameters of a link are left out', () => {
  const text = 'page=-1&per_page=7&order=evil&direction=up&token=x&expires_on.before=2027-01-01';
  assert.deepEqual(requestOf(query(text)), {
    status: 'active',
    replaced: 'false',
    'expires_on.before': '2027-01-01',
    page: '1',
    limit: '50',
  });
  const page = requestOf(
    query('page=9007199254740991&per_page=200&order=expires_on&direction=asc'),
  );
  assert.deepEqual(page, {
    status: 'active',
    replaced: 'false',
    order: 'expires_on',
    direction: 'asc',
    page: '9007199254740991',
    limit: '200',
  });
});

test('both ends of a time are one chip', () => {
  const text = 'expires_on.after=2026-12-01&expires_on.before=2027-01-01&common_name.contains=a=b';
  const chips = chipsOf(query(text)).map(({ kind, values }) => [kind, values]);
  assert.deepEqual(chips, [
    ['name', { 'common_name.contains': 'a=b' }],
    ['expires', { 'expires_on.after': '2026-12-01', 'expires_on.before': '2027-01-01' }],
  ]);
});

test('another filter leads back to page 1, and keeps everything else', () => {
  const before = query('page=7&order=expires_on&common_name=a&issued_on.after=2026-01-01');
  assert.equal(withoutSearch(before).toString(), 'order=expires_on&issued_on.after=2026-01-01');
  assert.equal(changed(before, { page: '8' }).get('page'), '8');
  assert.equal(changed(before, { status: 'all' }).get('page'), null);
  assert.equal(changed(before, { common_name: null }).has('common_name'), false);
  assert.equal(withoutFilters(before).toString(), 'order=expires_on');
  assert.equal(withoutFilters(query('replaced=true')).toString(), '');
  const continued = query('common_name.contains=abc&continue=xyz');
  assert.deepEqual(requestOf(continued)['page'], undefined);
  assert.equal(requestOf(continued)['continue'], 'xyz');
  assert.equal(changed(continued, { order: 'issued_on' }).has('continue'), false);
  assert.equal(before.get('page'), '7');
});

test('the search box shows the text of a link', () => {
  assert.equal(searchText(query('common_name.startswith=lap')), 'lap');
  assert.equal(searchText(query('common_name=lap')), '"lap"');
  assert.equal(searchText(query('serial_number=ab:cd')), 'ab:cd');
  assert.equal(searchText(query('expires_on.after=2026-12-01')), '');
  assert.deepEqual(conditionsOf(query('id.startswith=0199f0')), {
    status: 'all',
    'id.startswith': '0199f0',
  });
});
