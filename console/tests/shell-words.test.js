// Command lines: a shell is the judge.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

import { commandLine, quoted } from '../js/shell-words.js';

test('a shell reads each word unchanged', () => {
  const words = [
    'plain-1.2',
    '',
    'two words',
    "it's",
    '"$HOME" `id` $(id) \\',
    'a\nb\tc\x1b[2J',
    "\u202egpj.exe'\\",
    '; rm -rf *',
    '=cmd|calc',
    '🎉 Gerät',
  ];
  const line = commandLine('printf', '%s\\0', ...words);
  const out = execFileSync('bash', ['-c', line], { encoding: 'utf8' });
  assert.deepEqual(out.split('\0').slice(0, -1), words);
});

test('no word has a character that changes the look of a line', () => {
  assert.ok(!/[\p{Cc}\p{Cf}]/u.test(quoted('a\u202eb\u0007\u200f')));
  assert.equal(commandLine('certgate', undefined, false, 'ca'), 'certgate ca');
});
