import assert from 'node:assert/strict';
import test from 'node:test';

import { changes, commandOf, description, queryOf, usualAction } from '../js/bulk/plan.js';
import { afterOf, beforeOf, firstDay, lastDay } from '../js/certificates/dates.js';
import { CHOICES, bodyOf, isFinal, kebab, reasonOf } from '../js/certificates/reasons.js';
import { canUndo, progressOf } from '../js/certificates/progress.js';

/** @param {string} text */
const query = (text) => new URLSearchParams(text);

test('an action changes the certificates that it can change, whatever the list showed', () => {
  const shown = query('status=all&common_name.startswith=a&page=3&order=expires_on');
  assert.equal(description(queryOf(shown, 'revoke')), 'status=active, common_name.startswith=a');
  assert.equal(description(queryOf(shown, 'restore')), 'status=revoked, common_name.startswith=a');
  const newest = query('common_name=a&replaced=false');
  assert.equal(
    description(queryOf(newest, 'revoke')),
    'status=active, replaced=false, common_name=a',
  );
  assert.equal(usualAction(query('')), 'revoke');
  assert.equal(usualAction(query('status=revoked')), 'restore');
  assert.equal(usualAction(query('serial_number=ab')), 'revoke');
  assert.ok(changes('revoke', 'pending_reactivation') && !changes('revoke', 'revoked'));
});

test('the command does the same as the page', () => {
  const text = 'common_name.contains=top&expires_on.before=2027-01-01&certificate_authority_id=x';
  const reason = ['--reason', kebab('cACompromise')];
  assert.deepEqual(commandOf(query(text), 'revoke', reason), [
    'certgate',
    'cert',
    'revoke',
    '--match',
    '*top*',
    '--ca',
    'x',
    '--expires-before',
    '2027-01-01',
    '--reason',
    'ca-compromise',
    '--wait',
  ]);
  const everything = commandOf(query(''), 'restore', []);
  assert.deepEqual(everything, ['certgate', 'cert', 'restore', '--match', '*', '--wait']);
  const newest = commandOf(query('replaced=false'), 'revoke', [])?.join(' ');
  assert.equal(newest, 'certgate cert revoke --match * --replaced false --wait');
  // The command line has no condition on IDs, and takes a star in a name for a pattern.
  assert.equal(commandOf(query('id.startswith=0199f0'), 'revoke', []), null);
  assert.equal(commandOf(query('common_name=a*'), 'revoke', []), null);
});

test('the reason without a decision can be undone, and all others are final', () => {
  assert.equal(CHOICES[0]?.reason, 'certificateHold');
  assert.deepEqual(
    CHOICES.filter(({ reason }) => !isFinal(reason)).map(({ word }) => word),
    ['hold'],
  );
  assert.equal(bodyOf(reasonOf('hold')), undefined);
  assert.deepEqual(bodyOf(reasonOf('deviceLost')), { reason: 'keyCompromise' });
  assert.equal(kebab('keyCompromise'), 'key-compromise');
});

test('a revocation is undone by its last reason', () => {
  const event = (/** @type {string} */ action, /** @type {string | null} */ reason) =>
    /** @type {any} */ ({ action, reason, epoch: 1 });
  const hold = event('revoked', 'certificateHold');
  const settled = event('settled', null);
  assert.ok(canUndo('revoked', [event('issued', null), hold, settled]));
  assert.ok(!canUndo('revoked', [hold, event('revoked', 'superseded'), settled]));
  assert.ok(!canUndo('active', [hold, event('restored', null), settled]));
  assert.ok(canUndo('pending_revocation', null));
});

test('a point has the change from its epoch on, and a silent one is not waited for', () => {
  const point = (/** @type {number} */ epoch, /** @type {string} */ status) =>
    /** @type {any} */ ({ acknowledged_epoch: epoch, status });
  const states = progressOf([point(7, 'current'), point(6, 'lagging'), point(6, 'silent')], 7);
  assert.deepEqual(
    states.map(({ state }) => state),
    ['done', 'waiting', 'silent'],
  );
});

test('both days of a range are inside it, also when the clocks change', () => {
  for (const day of ['2026-12-01', '2026-03-29', '2026-10-25', '2027-01-01', '2028-02-29']) {
    const [after, before] = [afterOf(day), beforeOf(day)];
    assert.ok(after < new Date(`${day}T00:00:00`).toISOString());
    assert.ok(before > new Date(`${day}T23:59:59`).toISOString());
    assert.equal(firstDay(after), day);
    assert.equal(lastDay(before), day);
  }
  assert.equal(firstDay('2026-12-01T12:00:00Z'), null);
  assert.equal(lastDay('2026-12-01T12:34:56Z'), null);
  assert.equal(lastDay('nonsense'), null);
  assert.equal(firstDay(undefined), null);
});
