import assert from 'node:assert/strict';
import test from 'node:test';

import { csvFile, rowOf } from '../js/certificates/export.js';
import { csvLine } from '../js/ui/csv.js';

/** @param {string} name */
function certificate(name) {
  return /** @type {any} */ ({
    id: '0'.repeat(32),
    common_name: name,
    status: 'active',
    issued_on: '2026-11-30T10:00:00Z',
    expires_on: '2027-11-30T10:00:00Z',
    serial_number: '1'.repeat(40),
    fingerprint_sha256: '2'.repeat(64),
    certificate_authority: { id: 'a', name: '=cmd' },
    organization: '',
    organizational_unit: '',
    country: '',
    certificate: 'PEM',
  });
}

test('no cell is a formula, whatever the spreadsheet takes for the end of a cell', () => {
  for (const [value, cell] of [
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['  =1', "  '=1"],
    ['\uff1d1', "'\uff1d1"],
    ['a;=1', "a;'=1"],
    ['a, \t@x', "a, \t'@x"],
    ['a|-1', "a|'-1"],
    ['a"=1', 'a""\'=1'],
    ['laptop-17', 'laptop-17'],
    ['a = b - c', 'a = b - c'],
    ['🦀', '🦀'],
  ]) {
    assert.equal(csvLine([value ?? '']), `"${cell}"\r\n`);
  }
});

test('a row has the columns of the command line, and no name breaks out of its cell', () => {
  const row = rowOf(certificate('a","b\u202e<script>'));
  assert.ok(row.startsWith(`"${'0'.repeat(32)}","a"",""b\u202e<script>","active",`));
  assert.ok(row.includes('"a","\'=cmd"'));
  assert.ok(row.endsWith(',"","",""\r\n'));
  const line = { replaces: 'a'.repeat(32), replaced_by: 'b'.repeat(32) };
  const renewed = rowOf({ ...certificate('a'), certgate: line });
  assert.ok(renewed.endsWith(`,"${line.replaces}","${line.replaced_by}"\r\n`));
  assert.ok(!row.includes('PEM'));
});

test('the file is written while the pages arrive', async () => {
  let pages = 0;
  /** @type {number[]} */
  const rows = [];
  async function* parts() {
    for (; pages < 3; pages += 1) {
      yield [certificate(`a-${pages}`), certificate(`b-${pages}`)];
    }
  }
  const file = await csvFile(parts(), (number) => rows.push(number));
  const lines = (await file.text()).split('\r\n');
  assert.deepEqual(rows, [2, 4, 6]);
  assert.equal(lines.length, 8);
  assert.ok(lines[0]?.replace(/^\ufeff/, '').startsWith('"id","common_name","status"'));
  async function* broken() {
    yield [certificate('a')];
    throw new Error('lost');
  }
  await assert.rejects(csvFile(broken(), () => {}));
});
