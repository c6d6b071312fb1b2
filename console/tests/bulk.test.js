import assert from 'node:assert/strict';
import test from 'node:test';

import { ANNOUNCED, Record, RecordError } from '../js/bulk/record.js';
import { Run } from '../js/bulk/run.js';

/** @param {number} number */
const id = (number) => number.toString(16).padStart(32, '0');

/**
 * @param {number} count
 * @param {'revoke' | 'restore'} [action]
 */
function record(count, action = 'revoke') {
  const planned = Array.from({ length: count }, (_, number) => ({
    id: id(number),
    common_name: `device-${number}`,
  }));
  const about = {
    action,
    reason: action === 'revoke' ? 'certificateHold' : null,
    server: 'https://ca.example',
    zone_id: id(9),
    conditions: 'status=active',
    created_on: '2026-11-30T10:00:00Z',
  };
  return new Record(about, planned);
}

/**
 * @param {Record} record
 * @param {boolean} [isRunning]
 */
const file = (record, isRunning = false) => [...record.lines(isRunning)].join('');

/** @type {(seconds: number) => Promise<void>} */
const pause = async () => {};

test('each certificate is changed once, also if the server is busy or restarts', async () => {
  const work = record(500);
  /** @type {Map<string, number>} */
  const done = new Map();
  let requests = 0;
  const phases = new Set();
  const run = new Run(
    work,
    async ({ id }, mayBeChanged) => {
      requests += 1;
      await Promise.resolve();
      if (requests % 7 === 0) {
        return { kind: 'again', seconds: 1, isSent: false, why: 'busy' };
      }
      const isDone = done.has(id);
      assert.equal(isDone, mayBeChanged, 'only a lost answer leads to a second request');
      done.set(id, (done.get(id) ?? 0) + 1);
      if (requests % 11 === 0) {
        return { kind: 'again', seconds: 1, isSent: true, why: 'lost' };
      }
      return { kind: 'changed' };
    },
    pause,
  );
  run.onChange = () => phases.add(run.state.phase);
  await run.start();
  assert.deepEqual(work.counts, { changed: 500, unchanged: 0, failed: 0, left: 0 });
  assert.equal(done.size, 500);
  assert.deepEqual([...phases].toSorted(), ['done', 'running', 'waiting']);
});

test('a stopped run continues with exactly those that are left', async () => {
  const work = record(40);
  /** @type {string[]} */
  const asked = [];
  const run = new Run(
    work,
    async ({ id }) => {
      asked.push(id);
      if (asked.length === 10) {
        run.stop();
      }
      await Promise.resolve();
      return { kind: 'changed' };
    },
    pause,
  );
  await run.start();
  assert.equal(run.state.phase, 'stopped');
  const { changed, left } = work.counts;
  assert.equal(changed + left, 40);
  assert.equal(changed, asked.length);
  await run.start();
  assert.equal(run.state.phase, 'done');
  assert.equal(new Set(asked).size, 40);
  assert.equal(asked.length, 40);
});

test('an error that affects every certificate stops the run, a refusal does not', async () => {
  const work = record(20);
  const run = new Run(
    work,
    async ({ id: asked }) => {
      if (asked === id(3)) {
        return { kind: 'failed', problem: 'the certificate does not exist' };
      }
      return asked === id(12) ? { kind: 'stop', problem: 'no access' } : { kind: 'changed' };
    },
    pause,
  );
  await run.start();
  assert.deepEqual(run.state, { phase: 'stopped', problem: 'no access' });
  assert.equal(work.failed()[0]?.problem, 'the certificate does not exist');
  assert.ok(work.isLeft(3) && work.isLeft(12));
});

test('the undo has exactly those that were changed', () => {
  const work = record(4);
  work.announce(0);
  work.finish(id(0), { kind: 'changed' });
  work.finish(id(1), { kind: 'unchanged' });
  work.doubt(id(2));
  assert.deepEqual(work.changed(), [work.planned[0]]);
  assert.deepEqual(work.doubtful(), [work.planned[2]]);
  // A refusal of the second request says nothing about the first.
  work.finish(id(2), { kind: 'failed', problem: 'x' });
  assert.deepEqual(work.doubtful(), [work.planned[2]]);
  work.finish(id(2), { kind: 'changed' });
  assert.deepEqual(work.doubtful(), []);
  assert.deepEqual(work.counts, { changed: 2, unchanged: 1, failed: 0, left: 1 });
});

test('a record survives as a file, whatever byte its end is', () => {
  const work = record(3);
  work.announce(0);
  work.finish(id(0), { kind: 'changed' });
  work.finish(id(1), { kind: 'failed', problem: 'x' });
  const whole = file(work, true);
  const list = file(record(3));
  for (let end = list.length; end <= whole.length; end += 1) {
    const read = Record.read(whole.slice(0, end));
    const lines = whole.slice(0, end).split('\n').length - 1 - 4;
    assert.equal(read.isLeft(0), lines < 2, `${end}`);
    const doubtful = read.doubtful().map(({ id }) => Number.parseInt(id, 16));
    assert.deepEqual(doubtful, [[], [0, 1, 2], [1, 2], [2]][lines], `${end}`);
  }
  assert.deepEqual(Record.read(whole).counts, work.counts);
});

test('the file of a stopped run has no doubts about requests that were never sent', () => {
  const work = record(ANNOUNCED + 10);
  work.announce(0);
  work.finish(id(0), { kind: 'changed' });
  assert.equal(Record.read(file(work)).doubtful().length, 0);
  assert.equal(Record.read(file(work, true)).doubtful().length, ANNOUNCED - 1);
});

test('another file is refused with its line', () => {
  const whole = file(record(2));
  for (const [bad, line] of /** @type {[string, number][]} */ ([
    ['', 1],
    ['{}\n', 1],
    [whole.replace('"version":1', '"version":2'), 1],
    [whole.replace(id(1), 'x'), 3],
    [whole.slice(0, -10), 2],
    [`${whole}{"changed":"x"}\n`, 4],
  ])) {
    const refused = (/** @type {unknown} */ error) =>
      error instanceof RecordError && error.line === line;
    assert.throws(() => Record.read(bad), refused, bad);
  }
});

test('a defect leaves a doubt about the certificate whose request it ended', async () => {
  const work = record(3);
  const run = new Run(
    work,
    async ({ id: asked }) => {
      if (asked === id(1)) {
        throw new Error('a defect');
      }
      return { kind: 'changed' };
    },
    pause,
  );
  await assert.rejects(run.start());
  assert.deepEqual(work.doubtful(), [work.planned[1]]);
});
