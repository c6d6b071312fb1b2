// Helpers of the tests: a certgate process, and an SDK whose traffic is recorded.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

import Cloudflare from 'cloudflare';

// No step takes a second on an idle machine. A busy one gets thirty.
const PATIENCE_MS = 30_000;

// Time between two attempts of `eventually`.
const POLL_MS = 10;

// The most items of an iteration. One that does not end fails instead of hanging.
const ITEMS_MAX = 400;

export interface Made {
  account_id: string;
  zone_id: string;
  token: string;
}

export interface Server extends Made {
  base: string;
  stop(): Promise<void>;
}

const certgate = (): string => {
  const path = process.env['CERTGATE_TEST_BINARY'];
  assert(path, 'CERTGATE_TEST_BINARY is needed: the path of the built program');
  return path;
};

// The environment without settings of the caller.
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(CERTGATE|CLOUDFLARE)_/.test(name)),
  );

/** `certgate serve` on a new directory; both listeners on ports that the system chooses. */
export async function serve(): Promise<Server> {
  const place = mkdtempSync(join(tmpdir(), 'certgate-'));
  const data = join(place, 'data');
  const options = { encoding: 'utf8', env: environment() } as const;
  const made = JSON.parse(
    execFileSync(certgate(), ['init', '--data-dir', data, '--json'], options),
  ) as Made;
  const addresses = ['--listen', '127.0.0.1:0', '--public-listen', '127.0.0.1:0'];
  const child = spawn(certgate(), ['serve', '--data-dir', data, ...addresses], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await once(createInterface(child.stdout), 'line', {
    signal: AbortSignal.timeout(PATIENCE_MS),
  })) as [string];
  const address = /^management API listening on (http:\/\/127\.0\.0\.1:\d+)$/.exec(line)?.[1];
  assert(address, `certgate did not start: ${line}`);
  const stop = async () => {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const [code] = (await ended) as [number | null];
    rmSync(place, { recursive: true });
    assert.equal(code, 0, 'certgate stops well');
  };
  return { ...made, base: `${address}/client/v4`, stop };
}

/** A request for a new P-256 key, by openssl. */
export function makeCsr(subject = '/C=US/O=Example Inc./CN=device-1'): string {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const request = ['req', '-new', ...curve, '-nodes', '-keyout', '/dev/null', '-subj', subject];
  return execFileSync('openssl', request, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

export interface Exchange {
  method: string;
  path: string;
  status: number;
  body: { result: unknown; result_info?: unknown; errors: { code: number }[] };
}

/** A fetch for the SDK that keeps what was sent and answered, and tolerates no repetition. */
export class Wire {
  /** Everything, for the check of the types. */
  readonly exchanges: Exchange[] = [];
  private taken = 0;

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const headers = new Headers(init?.headers);
    const url = new URL(String(input));
    const method = init?.method?.toUpperCase() ?? 'GET';
    // The SDK sends the number of the attempt with each request. A retry would be the second.
    assert.equal(
      headers.get('x-stainless-retry-count'),
      '0',
      `${method} ${url.pathname} was repeated`,
    );
    const response = await fetch(input, init);
    const body = (await response.clone().json()) as Exchange['body'];
    this.exchanges.push({ method, path: url.pathname + url.search, status: response.status, body });
    return response;
  };

  /** What was sent since the last time, as `METHOD /path?query` below the base address. */
  take(): string[] {
    const since = this.exchanges.slice(this.taken);
    this.taken = this.exchanges.length;
    return since.map(({ method, path }) => `${method} ${path.replace(/^\/client\/v4/, '')}`);
  }
}

/** The SDK with its defaults, its two retries among them. */
export function connect(server: Server, wire: Wire, token = server.token): Cloudflare {
  return new Cloudflare({ apiToken: token, baseURL: server.base, fetch: wire.fetch });
}

/** All items of an iteration, which must end. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) {
    found.push(item);
    assert(found.length <= ITEMS_MAX, 'the iteration does not end');
  }
  return found;
}

/** The first value of `look` that passes; for what sends no event. */
export async function eventually<T>(
  look: () => Promise<T>,
  passes: (value: T) => boolean,
): Promise<T> {
  const tries = PATIENCE_MS / POLL_MS;
  for (let attempt = 0; attempt < tries; attempt += 1) {
    const value = await look();
    if (passes(value)) return value;
    await pause(POLL_MS);
  }
  assert.fail(`not within ${PATIENCE_MS} ms`);
}

/** Expects a failure at the first attempt, with this class of error, status and code. */
export async function fails(
  wire: Wire,
  kind: new (...parts: never[]) => Error,
  status: number,
  code: number,
  call: () => PromiseLike<unknown>,
): Promise<void> {
  wire.take();
  await assert.rejects(
    async () => call(),
    (error: unknown) => {
      assert(error instanceof kind, `${kind.name} expected: ${String(error)}`);
      return true;
    },
  );
  assert.equal(wire.take().length, 1);
  const last = wire.exchanges.at(-1);
  assert.deepEqual([last?.status, last?.body.errors[0]?.code], [status, code]);
}

/** The path of docs/recipes.md. */
export const recipes = (): string => {
  const path = process.env['CERTGATE_TEST_RECIPES'];
  assert(path, 'CERTGATE_TEST_RECIPES is needed: the path of docs/recipes.md');
  return path;
};

/**
 * Checks that docs/clients.md has the result of a test. With CERTGATE_WRITE_DOCS=1, the writer of
 * that page adds it.
 */
export function works(operations: string): void {
  const { version } = JSON.parse(readFileSync('node_modules/cloudflare/package.json', 'utf8')) as {
    version: string;
  };
  const client = `cloudflare (TypeScript) ${version.split('.')[0]}`;
  const docs = dirname(recipes());
  if (process.env['CERTGATE_WRITE_DOCS'] === '1') {
    const cwd = join(dirname(docs), 'tests/python');
    execFileSync('python3', ['-m', 'kit.clients', client, version, operations], { cwd });
  }
  const page = readFileSync(join(docs, 'clients.md'), 'utf8').split('\n## ');
  const section = page.find((text) => text.startsWith(`${client} `))?.replace(/\s+/g, ' ');
  const entry = ` - ${operations}.`;
  assert(section?.includes(entry), `clients.md lacks "${entry}": set CERTGATE_WRITE_DOCS=1`);
}
