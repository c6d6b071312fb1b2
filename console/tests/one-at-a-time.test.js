// Work that many events ask for.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { oneAtATime } from '../js/one-at-a-time.js';

test('a hundred calls during a run cause one more run', async () => {
  let runs = 0;
  /** @type {(() => void)[]} */
  const ends = [];
  const call = oneAtATime(() => {
    runs += 1;
    return new Promise((resolve) => ends.push(resolve));
  });
  const first = call();
  for (let i = 0; i < 100; i += 1) void call();
  assert.equal(runs, 1);
  ends.shift()?.();
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(runs, 2);
  ends.shift()?.();
  await first;
  assert.equal(runs, 2);
});

test('a run that fails does not prevent the next one', async () => {
  let runs = 0;
  const call = oneAtATime(async () => {
    runs += 1;
    if (runs === 1) throw new Error('lost');
  });
  await assert.rejects(call(), /lost/);
  await call();
  assert.equal(runs, 2);
});
