// From the link of an invite to a certificate that the browser uses, in Chromium and in Firefox.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { AxeBuilder } from '@axe-core/playwright';
import { type BrowserContext, chromium, type Page, type Request } from 'playwright-core';
import puppeteer from 'puppeteer-core';

import { PATIENCE_MS, Server } from './server.js';

const run = promisify(execFile);

/** The place of Chromium's policies on Debian, which only root can write. */
const POLICIES = '/etc/chromium/policies/managed';

const CHROMIUM = process.env['CERTGATE_TEST_CHROMIUM'] ?? '/usr/bin/chromium';
const FIREFOX = process.env['CERTGATE_TEST_FIREFOX'] ?? '/usr/bin/firefox-esr';

/** A name that would do something if it were markup, a template, or a direction. */
const HOSTILE = '<img src=x onerror="document.title=1"><b id=owned>${1}</b>';

/** Lines that Chromium writes about an answer with an error. */
const NETWORK = /^Failed to load resource: /;

interface Invite {
  id: string;
  secret: string;
  link: string;
}

let server: Server;
let place: string;

before(async () => {
  place = mkdtempSync(join(tmpdir(), 'certgate-invite-'));
  const [certificate, key] = [join(place, 'tls.crt'), join(place, 'tls.key')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  await run('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', certificate, ...names]);
  server = await Server.start(
    ...['--enrol-listen', '127.0.0.1:0'],
    ...['--enrol-tls-certificate', certificate, '--enrol-tls-key', key],
    ...['--invite-listen', '127.0.0.1:0'],
    ...['--invite-tls-certificate', certificate, '--invite-tls-key', key],
  );
});
after(async () => {
  await server.stop();
  rmSync(place, { recursive: true });
});

function invite(more: Record<string, unknown> = {}): Promise<Invite> {
  const path = `/certgate/v1/zones/${server.installation.zone_id}/invites`;
  return server.result('POST', path, { name: 'anna', ...more });
}

async function state({ id }: Invite): Promise<string> {
  const path = `/certgate/v1/zones/${server.installation.zone_id}/invites/${id}`;
  return (await server.get<{ state: string }>(path)).state;
}

/** A Chromium with a home of its own, where it finds certificates. */
async function home(name: string): Promise<string> {
  const folder = join(place, name);
  const database = join(folder, '.pki/nssdb');
  mkdirSync(database, { recursive: true });
  await run('certutil', ['-N', '-d', `sql:${database}`, '--empty-password']);
  return folder;
}

function launch(folder: string, colorScheme: 'light' | 'dark' = 'light'): Promise<BrowserContext> {
  return chromium.launchPersistentContext(join(folder, 'profile'), {
    executablePath: CHROMIUM,
    env: { ...process.env, HOME: folder } as Record<string, string>,
    ignoreHTTPSErrors: true,
    acceptDownloads: true,
    colorScheme,
  });
}

/** Runs a test in Chromium. Afterwards nothing complained, and the secret was in bodies only. */
async function inChromium(
  folder: string,
  { secret, link }: Invite,
  body: (page: Page, context: BrowserContext) => Promise<void>,
  colorScheme: 'light' | 'dark' = 'light',
): Promise<void> {
  const context = await launch(folder, colorScheme);
  context.setDefaultTimeout(PATIENCE_MS);
  try {
    const requests: Request[] = [];
    const complaints: string[] = [];
    context.on('request', (request) => requests.push(request));
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(String(error.stack ?? error)));
    page.on('console', (message) => {
      const isComplaint = message.type() === 'error' || message.type() === 'warning';
      if (isComplaint && !NETWORK.test(message.text())) complaints.push(message.text());
    });
    await page.goto(link);
    await page.locator('#device, .notice').first().waitFor();
    await body(page, context);
    assert.equal(await page.locator('#owned, img').count(), 0);
    assert(!page.url().includes(secret), 'the address has lost the secret');
    for (const request of requests) {
      // Playwright shows the fragment that the browser keeps to itself.
      const sent = request.url().split('#')[0] ?? '';
      assert(!sent.includes(secret), sent);
      const headers = request.headers();
      assert(!JSON.stringify(headers).includes(secret));
      assert(!headers['referer'], sent);
    }
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

async function isAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
  const lines = violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} at ${String(target)}: ${failureSummary}`),
  );
  assert.deepEqual(lines, []);
}

/** Puts the identity of a file into a database of NSS. */
async function install(file: string, password: string, database: string): Promise<void> {
  const secret = join(place, 'password');
  writeFileSync(secret, password);
  await run('pk12util', ['-i', file, '-d', `sql:${database}`, '-w', secret, '-K', '']);
}

test('Chromium goes from the link to the page that it works', async (t) => {
  const made = await invite({ device: 'linux' });
  const folder = await home('linux');
  await inChromium(folder, made, async (page) => {
    assert.equal(await page.locator('#device').inputValue(), 'linux');
    assert.equal(await state(made), 'open');
    await page.getByRole('button', { name: 'Make the file' }).click();
    const link = page.getByRole('link', { name: 'Download the file' });
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    assert.equal(download.suggestedFilename(), 'anna.p12');
    const file = join(place, 'chromium.p12');
    await download.saveAs(file);
    const password = await page.getByLabel('Password of the file').locator('pre').innerText();
    await isAccessible(page);
    await install(file, password.trim(), join(folder, '.pki/nssdb'));
    const check = page.getByRole('link', { name: 'Check that it works' });
    assert.equal(await check.getAttribute('href'), `${server.enrolment}/works/example.com`);
  });
  assert.equal(await state(made), 'used');
  if (process.getuid?.() !== 0) return t.skip('only root can write policies of Chromium');
  mkdirSync(POLICIES, { recursive: true });
  const policy = join(POLICIES, `certgate-test-${process.pid}.json`);
  const pattern = JSON.stringify({ pattern: server.enrolment, filter: {} });
  writeFileSync(policy, JSON.stringify({ AutoSelectCertificateForUrls: [pattern] }));
  try {
    await inChromium(folder, made, async (page, context) => {
      const link = page.getByRole('link', { name: 'Check that it works' });
      const [works] = await Promise.all([context.waitForEvent('page'), link.click()]);
      await works.getByRole('heading', { name: 'It works' }).waitFor();
      assert.match(await works.locator('p').innerText(), /\banna\b.*\bexample\.com\b/);
      await isAccessible(works);
    });
  } finally {
    rmSync(policy);
  }
});

test('a browser makes the key, and no server sees it', async () => {
  const made = await invite({ name: HOSTILE, device: 'windows' });
  for (const colorScheme of ['dark', 'light'] as const) {
    await inChromium(
      await home(`pem-${colorScheme}`),
      made,
      async (page) => {
        assert((await page.locator('#invite').innerText()).includes(HOSTILE));
        await isAccessible(page);
        if (colorScheme === 'dark') {
          await page.getByLabel('What you get').selectOption('command');
          await page.getByRole('button', { name: 'Show the command' }).click();
          const command = await page.getByLabel('Command', { exact: true }).locator('pre').innerText();
          assert.match(command, /^certgate enrol --est https:\/\/\S+ --fingerprint [0-9a-f]{64} /);
          const shown = await page.getByLabel('Invite', { exact: true }).locator('pre').innerText();
          assert.equal(shown.trim(), `${made.id}#${made.secret}`);
          return;
        }
        await page.getByLabel('What you get').selectOption('browser');
        await page.getByRole('button', { name: 'Make a key' }).click();
        const saved: string[] = [];
        for (const name of ['Save the key', 'Save the certificate']) {
          const button = page.getByRole('button', { name });
          const [file] = await Promise.all([page.waitForEvent('download'), button.click()]);
          saved.push(readFileSync(await file.path(), 'utf8'));
        }
        await isAccessible(page);
        const [key = '', chain = ''] = saved;
        const certificate = new X509Certificate(chain);
        assert(certificate.checkPrivateKey(createPrivateKey(key)));
        assert(certificate.subject.includes('owned'));
        assert.equal(chain.split('BEGIN CERTIFICATE').length, 3);
      },
      colorScheme,
    );
    assert.equal(await state(made), colorScheme === 'dark' ? 'open' : 'used');
  }
});

test('an invite that cannot be used says why, also after a reload', async () => {
  const made = await invite();
  const path = `/certgate/v1/zones/${server.installation.zone_id}/invites/${made.id}`;
  await server.result('DELETE', path);
  const folder = await home('closed');
  await inChromium(folder, made, async (page) => {
    await page.getByText('This invite was withdrawn.').waitFor();
    await isAccessible(page);
    assert.equal(await page.locator('form').count(), 0);
    // The secret is not in the history of the tab.
    await page.reload();
    await page.getByText('open the whole link of your invite again').waitFor();
    await isAccessible(page);
    await page.goto(made.link.replace(made.secret, 'wrong'));
    await page.getByText('no invite has this ID').waitFor();
    await page.evaluate((secret) => {
      location.hash = secret;
    }, made.secret);
    await page.getByText('This invite was withdrawn.').waitFor();
  });
});

/** Waits until a file is complete: Firefox renames it then. */
async function appeared(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  const changes = watch(folder, { signal: AbortSignal.timeout(PATIENCE_MS) });
  try {
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (existsSync(path) && readFileSync(path).length > 0 && !existsSync(`${path}.part`)) {
          resolve();
        }
      };
      changes.on('change', look);
      changes.on('error', reject);
      look();
    });
  } finally {
    changes.close();
  }
  return path;
}

test('Firefox goes from the link to the page that it works', async () => {
  const made = await invite({ device: 'firefox' });
  const [profile, files] = [join(place, 'firefox'), join(place, 'files')];
  for (const folder of [profile, files]) mkdirSync(folder);
  const options = {
    browser: 'firefox',
    executablePath: FIREFOX,
    headless: true,
    userDataDir: profile,
    acceptInsecureCerts: true,
    extraPrefsFirefox: {
      'browser.download.folderList': 2,
      'browser.download.dir': files,
      'browser.download.always_ask_before_handling_new_types': false,
      'browser.helperApps.neverAsk.saveToDisk': 'application/x-pkcs12',
      'security.default_personal_cert': 'Select Automatically',
      'security.osclientcerts.autoload': false,
    },
  } as const;
  let browser = await puppeteer.launch(options);
  let password = '';
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(made.link);
    await page.locator('form button').click();
    await page.locator('section a.button').click();
    password = await page.$eval('.password pre', ({ textContent }) => textContent.trim());
    assert(!page.url().includes(made.secret));
    await appeared(files, 'anna.p12');
  } finally {
    await browser.close();
  }
  await install(join(files, 'anna.p12'), password, profile);
  browser = await puppeteer.launch(options);
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${server.enrolment}/works/example.com`);
    const shown = await page.$eval('main', ({ textContent }) => textContent);
    assert.match(shown, /It works/);
    assert.match(shown, /\banna\b/);
  } finally {
    await browser.close();
  }
});
