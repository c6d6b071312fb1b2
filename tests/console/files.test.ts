// The files of the console over HTTP: headers, caching, compression, and their absence.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Server } from './server.js';

let server: Server;
before(async () => {
  server = await Server.start();
});
after(() => server.stop());

/** Directives that keep content of others out. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
];

const addresses = async (): Promise<string[]> => {
  const index = await (await fetch(server.console)).text();
  const paths = [...index.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path = '']) => path);
  return paths.map((path) => new URL(path, server.console).href);
};

test('every file has the headers that keep it apart from other sites', async () => {
  const files = [server.console, ...(await addresses())];
  assert(files.length >= 4, String(files));
  for (const file of files) {
    const { status, headers } = await fetch(file);
    assert.equal(status, 200, file);
    const policy = (headers.get('content-security-policy') ?? '').split('; ');
    for (const directive of POLICY) assert(policy.includes(directive), `${file}: ${directive}`);
    assert(!policy.some((directive) => /unsafe|\*|https?:/.test(directive)), String(policy));
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('referrer-policy'), 'no-referrer');
    assert.equal(headers.get('cross-origin-opener-policy'), 'same-origin');
    assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin');
  }
});

test('the types are right, and the names of files last', async () => {
  const paths = await addresses();
  const expected = { js: /^text\/javascript/, css: /^text\/css/, svg: /^image\/svg\+xml/ };
  for (const [ending, type] of Object.entries(expected)) {
    const path = paths.find((each) => each.endsWith(`.${ending}`));
    assert(path, `a file .${ending}`);
    const { headers } = await fetch(path);
    assert.match(headers.get('content-type') ?? '', type);
    assert.equal(headers.get('cache-control'), 'public, max-age=31536000, immutable');
  }
  const index = await fetch(server.console);
  assert.match(index.headers.get('content-type') ?? '', /^text\/html/);
  assert.match(index.headers.get('cache-control') ?? '', /no-cache/);
});

test('a browser that opens the address finds the console', async () => {
  const options = { redirect: 'manual', headers: { accept: 'text/html,*/*;q=0.8' } } as const;
  const answer = await fetch(`${server.base}/`, options);
  assert.equal(answer.headers.get('location'), '/console/');
});

test('a file without a name there is not found, and nothing outside the folder is', async () => {
  const [file = ''] = await addresses();
  const folder = file.slice(0, file.lastIndexOf('/'));
  for (const missing of ['nothing.js', '../../etc/passwd', '%2e%2e/%2e%2e/etc/passwd', '']) {
    const { status } = await fetch(`${folder}/${missing}`);
    assert.equal(status, 404, missing);
  }
});

test('without the console, the rest of the API is the same', async () => {
  const other = await Server.start('--console=false');
  try {
    assert.equal((await fetch(other.console)).status, 404);
    const html = { redirect: 'manual', headers: { accept: 'text/html' } } as const;
    assert.equal((await fetch(`${other.base}/`, html)).headers.get('location'), null);
    const document = async (base: string) => (await fetch(`${base}/openapi.json`)).text();
    assert.equal(await document(other.base), await document(server.base));
    assert.equal((await other.get<unknown[]>('/client/v4/zones')).length, 1);
  } finally {
    await other.stop();
  }
});
