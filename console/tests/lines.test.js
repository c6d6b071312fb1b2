import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The widest line, as in all of the project. */
const COLUMNS = 100;

test('no line of the console has more than 100 columns', () => {
  const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter(
    (path) => /\.(js|css|html|json)$/.test(path) && !/^(vendor|tests\/fixtures)\//.test(path),
  );
  assert.ok(files.includes('style.css') && files.includes('js/pages/certificates.js'));
  const long = files.flatMap((path) =>
    readFileSync(ROOT + path, 'utf8')
      .split('\n')
      .flatMap((line, index) => ([...line].length > COLUMNS ? [`${path}:${index + 1}`] : [])),
  );
  assert.deepEqual(long, [], 'break these lines');
});
