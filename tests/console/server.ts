// A certgate process, its API, and the data of an organisation with many certificates.

import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { on, once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** No step takes seconds on an idle machine. A busy one gets thirty. */
export const PATIENCE_MS = Number(process.env['CERTGATE_TEST_PATIENCE_MS'] ?? 30_000);

/** Requests of `Api.each` at a time: enough to keep two processors busy. */
const REQUESTS_AT_ONCE = 16;

export interface Installation {
  account_id: string;
  zone_id: string;
  /** A zone with certificates that were renewed. Only the data with 100,000 certificates has it. */
  second_zone_id?: string;
  token: string;
}

export interface Certificate {
  id: string;
  status: string;
  common_name: string;
  certificate: string;
  serial_number: string;
  fingerprint_sha256: string;
  certgate?: { replaces?: string; replaced_by?: string };
}

/** The answer of the API. */
export interface Answer<T> {
  success: boolean;
  result: T;
  errors: { code: number; message: string }[];
  result_info?: { total_count: number };
}

const fromEnvironment = (name: string): string => {
  const value = process.env[name];
  assert(value, `${name} is needed: run these tests as CONTRIBUTING.md says`);
  return value;
};

const certgate = (): string => fromEnvironment('CERTGATE_TEST_BINARY');

/** The environment without settings of the caller. */
const environment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(CERTGATE|CLOUDFLARE)_/.test(name)),
  ),
  ...clock(),
});

/** Variables that move the clock of a server to `CERTGATE_TEST_NOW`, by libfaketime. */
function clock(): NodeJS.ProcessEnv {
  const now = process.env['CERTGATE_TEST_NOW'];
  if (!now) return {};
  const library = readdirSync('/usr/lib')
    .map((folder) => join('/usr/lib', folder, 'faketime/libfaketimeMT.so.1'))
    .find((path) => existsSync(path));
  assert(library, 'libfaketime is needed: on Debian, apt-get install faketime');
  const seconds = Math.round(Number(now) - Date.now() / 1000);
  return {
    LD_PRELOAD: library,
    FAKETIME: `${seconds < 0 ? '' : '+'}${seconds}s`,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  };
}

/** Runs a command of certgate on the data directory of a server. Returns its standard output. */
export async function command(data: string, ...words: string[]): Promise<string> {
  const run = promisify(execFile);
  const { stdout } = await run(certgate(), [...words, '--data-dir', data], { env: environment() });
  return stdout;
}

/** The API of a server, as a token sees it. */
export class Api {
  constructor(
    readonly base: string,
    readonly token: string,
  ) {}

  async send<T>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    const response = await fetch(this.base + path, {
      method,
      headers: { authorization: `Bearer ${this.token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (await response.json()) as Answer<T>;
  }

  /** Sends a request that must succeed, and returns its result. */
  async result<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.send<T>(method, path, body);
    assert(answer.success, `${method} ${path}: ${JSON.stringify(answer.errors)}`);
    return answer.result;
  }

  get<T>(path: string): Promise<T> {
    return this.result('GET', path);
  }

  /** Calls for each item, several at a time, and returns the results in the order of the items. */
  static async each<I, T>(items: readonly I[], call: (item: I) => Promise<T>): Promise<T[]> {
    const results: T[] = [];
    const waiting = [...items.entries()];
    const lane = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        results[next[0]] = await call(next[1]);
      }
    };
    await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, lane));
    return results;
  }
}

/** A running server. */
export class Server extends Api {
  private constructor(
    base: string,
    readonly installation: Installation,
    private readonly place: string,
    private child: ChildProcess,
    private readonly settings: readonly string[],
    /** The addresses of enrolment and of the pages of invites, if the settings have them. */
    readonly enrolment: string,
    readonly invites: string,
  ) {
    super(base, installation.token);
  }

  /** Starts a server on a new directory. `settings` are arguments of `certgate serve`. */
  static async start(...settings: string[]): Promise<Server> {
    const place = mkdtempSync(join(tmpdir(), 'certgate-console-'));
    const made = await command(join(place, 'data'), 'init', '--json');
    return Server.open(place, JSON.parse(made) as Installation, settings);
  }

  /** Starts a server on a copy of the data with 100,000 certificates. */
  static async withEstate(...settings: string[]): Promise<Server> {
    const place = mkdtempSync(join(tmpdir(), 'certgate-console-'));
    const estate = fromEnvironment('CERTGATE_TEST_ESTATE');
    cpSync(estate, join(place, 'data'), { recursive: true });
    const made = JSON.parse(readFileSync(`${estate}.json`, 'utf8')) as Installation;
    return Server.open(place, made, ['--public-url', 'http://pki.example.com', ...settings]);
  }

  /**
   * Starts a server on a data directory that `cargo xtask bench --keep` filled. It is not copied,
   * because ten million certificates have 16 GB.
   */
  static async onFilled(directory: string): Promise<Server> {
    const place = mkdtempSync(join(tmpdir(), 'certgate-console-'));
    symlinkSync(directory, join(place, 'data'));
    const made = JSON.parse(readFileSync(join(directory, 'bench.json'), 'utf8')) as Installation;
    return Server.open(place, made, []);
  }

  private static async open(
    place: string,
    made: Installation,
    settings: readonly string[],
  ): Promise<Server> {
    const { child, base, enrolment, invites } = await launch(place, '127.0.0.1:0', settings);
    return new Server(base, made, place, child, settings, enrolment, invites);
  }

  /** The directory with the data. */
  get data(): string {
    return join(this.place, 'data');
  }

  /** The address of the console. */
  get console(): string {
    return `${this.base}/console/`;
  }

  get zone(): string {
    return `/client/v4/zones/${this.installation.zone_id}`;
  }

  get account(): string {
    return `/certgate/v1/accounts/${this.installation.account_id}`;
  }

  issue(common_name: string | Subject, validity_days = 90): Promise<Certificate> {
    const csr = makeCsr(common_name);
    return this.result('POST', `${this.zone}/client_certificates`, { csr, validity_days });
  }

  certificate(id: string): Promise<Certificate> {
    return this.get(`${this.zone}/client_certificates/${id}`);
  }

  /** Creates a token with these permissions on everything. Returns its value and its ID. */
  async createToken(
    names: readonly string[],
    more: Record<string, unknown> = {},
  ): Promise<{ id: string; value: string }> {
    const path = '/client/v4/user/tokens';
    const groups = await this.get<{ id: string; name: string; scopes: string[] }[]>(
      `${path}/permission_groups`,
    );
    const user = await this.get<{ id: string }>('/client/v4/user');
    const policies = names.map((name) => {
      const group = groups.find((each) => each.name === name);
      assert(group, `there is a permission ${name}`);
      const scope = group.scopes[0] ?? '';
      const resource = `${scope}.${scope === 'com.cloudflare.api.user' ? user.id : '*'}`;
      return {
        effect: 'allow',
        permission_groups: [{ id: group.id }],
        resources: { [resource]: '*' },
      };
    });
    return this.result('POST', path, { name: names.join(', '), policies, ...more });
  }

  /** Ends the process without a warning. */
  async kill(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }

  /** Starts the process again on the same data and the same address. */
  async restart(): Promise<void> {
    const { child } = await launch(this.place, new URL(this.base).host, this.settings);
    this.child = child;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGTERM');
      const [code] = (await ended) as [number | null];
      assert.equal(code, 0, 'certgate stops well');
    }
    rmSync(this.place, { recursive: true });
  }
}

async function launch(place: string, listen: string, settings: readonly string[]) {
  const addresses = ['--listen', listen, '--public-listen', '127.0.0.1:0'];
  const words = ['serve', '--data-dir', join(place, 'data'), ...addresses, ...settings];
  const child = spawn(certgate(), words, {
    env: environment(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const names = ['management API', 'public responder'];
  if (settings.includes('--enrol-listen')) names.push('enrolment');
  if (settings.includes('--invite-listen')) names.push('invites');
  const found: Record<string, string> = {};
  const lines = on(createInterface(child.stdout), 'line', {
    close: ['close'],
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  for await (const [line] of lines as AsyncIterable<[string]>) {
    const [, name, address] = /^([\w ]+) listening on (https?:\/\/127\.0\.0\.1:\d+)$/.exec(line) ?? [];
    assert(name && address && names.includes(name), `certgate did not start: ${line}`);
    found[name] = address;
    if (Object.keys(found).length === names.length) break;
  }
  const { 'management API': base, enrolment = '', invites = '' } = found;
  assert(base, 'certgate did not start');
  return { child, base, enrolment, invites };
}

/** Attributes of a subject by their object identifier's last number below 2.5.4. */
export interface Subject {
  common_name?: string;
  organization?: string;
  organizational_unit?: string;
  country?: string;
  state?: string;
  location?: string;
}

const ATTRIBUTES: Record<keyof Subject, number> = {
  common_name: 3,
  organization: 10,
  organizational_unit: 11,
  country: 6,
  state: 8,
  location: 7,
};

/** A request for a new P-256 key. Its attributes are UTF8String, with any content. */
export function makeCsr(subject: string | Subject): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const attributes = typeof subject === 'string' ? { common_name: subject } : subject;
  const name = Object.entries(attributes).map(([attribute, value]) => {
    const type = ATTRIBUTES[attribute as keyof Subject];
    const oid = Buffer.from([0x06, 3, 0x55, 4, type]);
    return tlv(0x31, tlv(0x30, oid, tlv(0x0c, Buffer.from(value as string, 'utf8'))));
  });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const version = Buffer.from([2, 1, 0]);
  const info = tlv(0x30, version, tlv(0x30, ...name), spki, tlv(0xa0));
  // ecdsa-with-SHA256
  const algorithm = Buffer.from([0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
  const signature = tlv(0x03, Buffer.from([0]), sign('sha256', info, privateKey));
  const base64 = tlv(0x30, info, algorithm, signature).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  const mark = (word: string) => `-----${word} CERTIFICATE REQUEST-----`;
  return [mark('BEGIN'), ...lines, mark('END'), ''].join('\n');
}

/** Encodes a value of less than 64 KiB in DER. */
function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
