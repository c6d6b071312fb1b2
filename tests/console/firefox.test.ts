// A shorter list in Debian's Firefox, driven over WebDriver BiDi.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import puppeteer, { type Browser, type Page } from 'puppeteer-core';

import { PATIENCE_MS, type Certificate, Server } from './server.js';

let server: Server;
let browser: Browser;

before(async () => {
  const executablePath = process.env['CERTGATE_TEST_FIREFOX'] ?? '/usr/bin/firefox-esr';
  [server, browser] = await Promise.all([
    Server.withEstate(),
    puppeteer.launch({ browser: 'firefox', executablePath, headless: true }),
  ]);
});
after(async () => {
  await browser.close();
  await server.stop();
});

/** Opens a tab, signs in, and then checks that nothing complained. */
async function inTab(path: string, body: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warn') complaints.push(message.text());
  });
  await page.goto(`${server.console}#/${path}`);
  await page.locator('#token').fill(server.token);
  await page.locator('form button').click();
  await settled(page);
  await body(page);
  const address = page.url();
  assert(!address.includes(server.token), 'the token is not in the address');
  assert.deepEqual(complaints, []);
  await context.close();
}

/** Waits until no part of the page says that it loads. */
async function settled(page: Page): Promise<void> {
  await page.waitForFunction(() => {
    const root = document.querySelector('#page');
    return root !== null && root.childElementCount > 0 && !document.querySelector('.loading');
  });
}

async function go(page: Page, path: string): Promise<void> {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, `#/${path}`);
  await settled(page);
}

const heading = (page: Page) => page.$eval('h1', ({ textContent }) => textContent);

test('every page opens', async () => {
  await inTab('overview', async (page) => {
    const links = await page.$$eval('nav a', (all) =>
      all.map((link) => [link.getAttribute('href') ?? '', link.textContent.trim()] as const),
    );
    assert(links.length > 1);
    for (const [path, title] of links) {
      await go(page, path.replace(/^#\//, ''));
      assert.equal(await heading(page), title);
      // The overview warns of the enforcement points of the data, which are silent.
      const notices = title === 'Overview' ? [] : await page.$$('.notice.error');
      assert.equal(notices.length, 0, title);
    }
  });
});

test('a certificate opens by its address', async () => {
  const [certificate] = await server.get<Certificate[]>(`${server.zone}/client_certificates`);
  assert(certificate);
  await inTab(`certificates/${certificate.id}`, async (page) => {
    const text = await page.$eval('main', ({ textContent }) => textContent);
    assert(text.includes(certificate.common_name), text);
  });
});
