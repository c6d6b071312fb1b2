// Issuance rules in the browser: the same cases as in `crates/model`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  check,
  checkBoth,
  includesKey,
  lifetimeSeconds,
  lifetimeText,
  matches,
} from '../js/issuance-rules.js';

test('patterns match names', () => {
  /** @type {[string, string, boolean][]} */
  const cases = [
    ['build-*', 'build-7', true],
    ['build-*', 'build-', true],
    ['build-*', 'Build-7', false],
    ['build-*', 'a-build-7', false],
    ['*', '', true],
    ['*', 'x', true],
    ['a*b*c', 'aXbbYc', true],
    ['a*b*c', 'aXbbY', false],
    ['a*a', 'a', false],
    ['**a**', 'bab', true],
    ['x', 'x', true],
    ['x', 'xx', false],
    ['gerät-*', 'gerät-ß', true],
    ['a?c', 'abc', false],
    ['[a]', 'a', false],
  ];
  for (const [pattern, name, expected] of cases) {
    assert.equal(matches(pattern, name), expected, `${pattern} ${name}`);
  }
});

test('a hostile pattern takes no exponential time', () => {
  const begun = performance.now();
  assert.equal(matches(`${'*a'.repeat(120)}b`, 'a'.repeat(4000)), false);
  assert.ok(performance.now() - begun < 1000);
});

test('key types and lifetimes have the meaning of the server', () => {
  assert.ok(includesKey('RSA', 'RSA-2048') && includesKey('rsa-2048', 'RSA-2048'));
  assert.ok(!includesKey('RSA-2048', 'RSA-3072') && !includesKey('P-256', 'P-384'));
  for (const [text, seconds] of /** @type {[string, number][]} */ ([
    ['8h', 28_800],
    ['36h', 129_600],
    ['90d', 7_776_000],
    ['90m', 5_400],
  ])) {
    assert.equal(lifetimeSeconds(text), seconds);
    assert.equal(lifetimeText(seconds), text);
  }
  assert.equal(lifetimeText(/** @type {number} */ (lifetimeSeconds('12w'))), '84d');
  for (const bad of ['', '8', 'h', '-1h', '59m', '1.5d', '8 h', '40000d', '99999999999999d']) {
    assert.equal(lifetimeSeconds(bad), null, bad);
  }
});

const REQUESTED = {
  subject: [
    { name: 'common_name', value: 'laptop-17' },
    { name: 'organization', value: 'Acme' },
  ],
  keyType: 'RSA-2048',
  names: [],
  days: 90,
};

test('a request within the rules has no findings', () => {
  const rules = {
    common_names: ['build-*', 'laptop-*'],
    required_attributes: ['organization'],
    forbidden_attributes: ['country'],
    key_types: ['P-256', 'RSA'],
    max_lifetime: 90 * 86_400,
    active_per_name: 2,
  };
  assert.deepEqual(check(rules, REQUESTED), []);
  assert.deepEqual(check({}, REQUESTED), []);
});

test('each broken rule is named with the value and the permitted values', () => {
  const rules = {
    common_names: ['build-*'],
    required_attributes: ['country'],
    forbidden_attributes: ['organization'],
    key_types: ['P-256', 'RSA-3072'],
    max_lifetime: 7 * 86_400,
  };
  const found = check(rules, REQUESTED).map(({ rule, problem, value, permitted, isRefused }) => {
    assert.ok(isRefused);
    return [rule, problem, value, permitted];
  });
  assert.deepEqual(found, [
    ['common_names', 'other', 'laptop-17', 'build-*'],
    ['required_attributes', 'absent', 'country', 'country'],
    ['forbidden_attributes', 'present', 'organization', ''],
    ['key_types', 'other', 'RSA-2048', 'P-256, RSA-3072'],
    ['max_lifetime', 'longer', '90', '7 (7d)'],
  ]);
});

test('one common name is needed where names are counted or limited', () => {
  const subject = REQUESTED.subject.slice(1);
  const rules = { common_names: ['*'], active_per_name: 1 };
  const found = check(rules, { ...REQUESTED, subject }).map(({ rule, problem }) => [rule, problem]);
  assert.deepEqual(found, [
    ['common_names', 'absent'],
    ['active_per_name', 'absent'],
  ]);
  const twice = [...REQUESTED.subject, { name: 'common_name', value: 'b' }];
  const several = check(rules, { ...REQUESTED, subject: twice }).map(({ problem }) => problem);
  assert.deepEqual(several, ['several', 'several']);
});

test('a lifetime that ends within the last day is shortened', () => {
  const [finding, ...others] = check({ max_lifetime: 28_800 }, { ...REQUESTED, days: 1 });
  assert.deepEqual(others, []);
  assert.deepEqual(
    [finding?.problem, finding?.permitted, finding?.isRefused],
    ['shortened', '8h', false],
  );
});

test('alternative names are dropped or rejected', () => {
  /** @type {import('../js/requests/pkcs10.js').AlternativeName[]} */
  const names = [
    { kind: 'dns', value: 'A.CI.example.com' },
    { kind: 'dns', value: 'other.example' },
    { kind: 'email', value: 'a@example.com' },
    { kind: 'ip', value: '10.0.0.1' },
    { kind: 'other', value: '[0]' },
  ];
  const rules = { dns: ['*.ci.example.com'], ip: ['10.0.0.0/8'] };
  const found = (/** @type {'drop' | 'reject'} */ beyond) =>
    check({ alternative_names: { ...rules, beyond } }, { ...REQUESTED, names });
  assert.deepEqual(
    found('drop').map(({ problem, value, isRefused }) => [problem, value, isRefused]),
    [
      ['dropped', 'other.example', false],
      ['dropped', 'a@example.com', false],
      ['dropped', '[0]', false],
    ],
  );
  assert.ok(found('reject').every(({ isRefused }) => isRefused));
  assert.equal(check({}, { ...REQUESTED, names }).length, names.length);
});

test('the rules of the token hold beside those of the zone', () => {
  const dns = (/** @type {string} */ value) => /** @type {any} */ ({ kind: 'dns', value });
  const zone = { common_names: ['build-*'], alternative_names: { dns: ['*.example.com'] } };
  const wanted = {
    ...REQUESTED,
    subject: [{ name: 'common_name', value: 'build-1' }],
    names: [dns('a.example.com')],
  };
  const rules = (/** @type {any} */ ofToken) =>
    checkBoth(zone, ofToken, wanted).map(({ rule, isOfToken }) => [rule, isOfToken]);
  assert.deepEqual(rules(null), []);
  // A token without rules of names leaves the names to the zone.
  assert.deepEqual(rules({ max_lifetime: 86_400 * 4_000 }), []);
  // One with permitted common names has no other names.
  assert.deepEqual(rules({ common_names: ['build-*'] }), [['alternative_names', true]]);
  assert.deepEqual(rules({ common_names: ['ci-*'] }), [
    ['common_names', true],
    ['alternative_names', true],
  ]);
  // A rule that both have is named once.
  const both = checkBoth({ key_types: ['Ed25519'] }, { key_types: ['Ed25519'] }, {
    ...wanted,
    names: [],
  });
  assert.deepEqual(both.map(({ isOfToken }) => isOfToken), [false]);
});
