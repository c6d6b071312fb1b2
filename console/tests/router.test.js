import assert from 'node:assert/strict';
import { test } from 'node:test';

import { format, parse } from '../js/router.js';

test('a fragment names a page, its parameters, its query and the zone', () => {
  const target = parse('#/certificates/0199f0c3?status=all&page=2&zone=023e');
  assert.equal(target.route?.path, 'certificates/:id');
  assert.deepEqual(target.params, { id: '0199f0c3' });
  assert.equal(target.query.toString(), 'status=all&page=2');
  assert.equal(target.zone, '023e');
});

test('the overview is the page without a path', () => {
  for (const fragment of ['', '#', '#/', '#/?zone=023e', '#/overview']) {
    assert.equal(parse(fragment).route?.path, 'overview', fragment);
  }
});

test('an unknown or malformed path has no page', () => {
  const unknown = ['#/nowhere', '#/certificates/a/b/c', '#/certificates/%zz', '#/__proto__'];
  for (const fragment of unknown) {
    assert.equal(parse(fragment).route, null, fragment);
  }
});

test('a query keeps any text', () => {
  const hostile = '"><script>&?#=% +\u202e';
  const fragment = format('certificates', new URLSearchParams({ name: hostile }), '023e');
  const target = parse(fragment);
  assert.equal(target.query.get('name'), hostile);
  assert.equal(target.zone, '023e');
});

test('the zone of the query is replaced, not repeated', () => {
  const query = new URLSearchParams('zone=old&page=2');
  assert.equal(format('bulk', query, 'new'), '#/bulk?zone=new&page=2');
  assert.equal(format('bulk', new URLSearchParams(), null), '#/bulk');
});
