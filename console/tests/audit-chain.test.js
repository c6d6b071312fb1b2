// The hash chain of audit logs, with logs that a server wrote (tests/fixtures/audit-logs.json).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { ChainCheck, headOf, hashedText, microseconds, verify } from '../js/audit-chain.js';

/** @typedef {{owner: string, entries: import('../js/audit-chain.js').AuditLog[]}} Log */

/** @returns {Log[]} a new copy for each test */
const logs = () =>
  JSON.parse(readFileSync(new URL('fixtures/audit-logs.json', import.meta.url), 'utf8'));

/** @returns {Log} the log of the account */
const ofAccount = () => /** @type {Log} */ (logs()[0]);

test('the logs of a server are intact', async () => {
  for (const { owner, entries } of logs()) {
    const verdicts = await verify(owner, entries);
    assert.deepEqual(
      [...verdicts.values()],
      entries.map(() => 'intact'),
      owner,
    );
    const check = new ChainCheck(owner);
    await check.add(entries.slice(0, 2));
    await check.add(entries.slice(2));
    assert.deepEqual([check.checked, check.broken], [entries.length, null]);
    assert.equal(check.head, entries.at(-1)?.certgate.hash);
  }
});

test('every changed member of an entry is found', async () => {
  /** @type {((entry: import('../js/audit-chain.js').AuditLog) => void)[]} */
  const changes = [
    (entry) => (entry.action.time = entry.action.time.replace('009Z', '008Z')),
    (entry) => (entry.actor.token_id = '0'.repeat(32)),
    (entry) => delete entry.actor.token_id,
    (entry) => (entry.actor.ip_address = '192.0.2.1'),
    (entry) => delete entry.actor.ip_address,
    (entry) => (entry.action.type = 'reactivate'),
    (entry) => (entry.resource.type = 'zone'),
    (entry) => (entry.resource.id = '1'.repeat(32)),
    (entry) => delete entry.zone,
    (entry) => delete entry.certgate.fingerprint_sha256,
    (entry) => (entry.certgate.detail += ' '),
    (entry) => (entry.certgate.hash = '2'.repeat(64)),
  ];
  for (const change of changes) {
    const { owner, entries } = ofAccount();
    const at = entries.findIndex((entry) => entry.action.type === 'revoke');
    change(/** @type {import('../js/audit-chain.js').AuditLog} */ (entries[at]));
    const verdicts = await verify(owner, entries);
    assert.equal(verdicts.get(at + 1), 'changed', String(change));
    const check = new ChainCheck(owner);
    await check.add(entries);
    assert.deepEqual(check.broken, { number: at + 1, problem: 'changed' });
  }
});

test('a removed entry and an unknown previous entry are not called intact', async () => {
  const { owner, entries } = ofAccount();
  const [removed] = entries.splice(4, 1);
  const number = /** @type {number} */ (removed?.certgate.number);
  const verdicts = await verify(owner, entries);
  assert.equal(verdicts.get(number + 1), 'unlinked');
  assert.equal(verdicts.get(number + 2), 'intact');
  const check = new ChainCheck(owner);
  await check.add(entries);
  assert.deepEqual(check.broken, { number, problem: 'missing' });
});

test('the log of another owner does not verify', async () => {
  const { entries } = ofAccount();
  const verdicts = await verify(`account:${'0'.repeat(32)}`, entries);
  assert.ok([...verdicts.values()].every((verdict) => verdict === 'changed'));
});

test('times have microseconds, and trailing zeros may be absent', () => {
  assert.equal(microseconds('1970-01-01T00:00:00Z'), 0n);
  assert.equal(microseconds('1970-01-01T00:00:01.5Z'), 1_500_000n);
  assert.equal(microseconds('2026-11-30T14:31:52.37883Z') % 1_000_000n, 378_830n);
  assert.equal(microseconds('2026-11-30T14:31:52.268009Z') % 1_000_000n, 268_009n);
});

test('the hashed text has the documented form', () => {
  const { owner, entries } = ofAccount();
  const entry = entries.find(({ resource }) => resource.type === 'managed_authority');
  const lines = hashedText(owner, /** @type {any} */ (entry)).split('\n');
  assert.deepEqual(lines.slice(0, 2), [owner, '3']);
  assert.deepEqual(lines.slice(3, 7), ['system', '-', 'create', 'managed_authority']);
  assert.match(String(lines[7]), /^[0-9a-f]{32}$/);
});

test('a log whose hashes were calculated again differs from a stored head', async () => {
  const { owner, entries } = ofAccount();
  const last = /** @type {import('../js/audit-chain.js').AuditLog} */ (entries.at(-1));
  const id = owner.slice('account:'.length);
  const stored = `${id}:${last.certgate.number}:${last.certgate.hash}`;
  const problemOf = async (/** @type {string} */ head, /** @type {typeof entries} */ log) => {
    const check = new ChainCheck(owner, headOf(head, owner));
    await check.add(log);
    check.end();
    return check.broken?.problem ?? null;
  };
  assert.equal(await problemOf(stored, entries), null);
  const other = `${id}:${last.certgate.number}:${'3'.repeat(64)}`;
  assert.equal(await problemOf(other, entries), 'other');
  assert.equal(await problemOf(stored, entries.slice(0, -1)), 'short');
  assert.equal(headOf('text', owner), null);
  assert.equal(headOf(`${'0'.repeat(32)}:1:${'3'.repeat(64)}`, owner), null);
});

test('the credentials of clients that enrol are in the text', () => {
  const { owner, entries } = ofAccount();
  const entry = /** @type {import('../js/audit-chain.js').AuditLog} */ (entries[0]);
  const id = '0199f0c37f0a7c1e9d575f0a3c1b2d4e';
  for (const [type, expected] of [
    ['certificate', `certificate:${id}`],
    ['invite', `invite:${id}`],
    ['mtls_certificate', 'mtls_certificate:0199f0c3-7f0a-7c1e-9d57-5f0a3c1b2d4e'],
    ['system', 'system'],
  ]) {
    const actor = { type: String(type), id };
    const text = hashedText(owner, { ...entry, actor });
    assert.equal(text.split('\n')[3], expected);
  }
});
