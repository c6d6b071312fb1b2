// Signing in and out, and what the tab keeps of the token.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { Browser } from 'playwright-core';

import { inTab, launch, Tab } from './browser.js';
import { Server } from './server.js';

let server: Server;
let browser: Browser;
before(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
});
after(async () => {
  await browser.close();
  await server.stop();
});

const stored = ({ page }: Tab) => page.evaluate(() => Object.values(sessionStorage));

test('a token that is not remembered is gone after a reload', async () => {
  await inTab(Tab.open(browser, server, 'overview'), async (tab) => {
    assert(!(await stored(tab)).includes(tab.token));
    await tab.page.reload();
    await tab.page.getByLabel('API token').waitFor();
  });
});

test('a remembered token lasts as long as the tab, and not longer than the session', async () => {
  await inTab(Tab.blank(browser, server), async (tab) => {
    const { page } = tab;
    await page.goto(tab.server.console);
    await page.getByRole('checkbox', { name: 'Remember it' }).check();
    await tab.signIn();
    assert((await stored(tab)).includes(tab.token));
    await page.reload();
    await tab.settle();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('API token').waitFor();
    assert.deepEqual(await stored(tab), []);
    assert.equal(await page.getByLabel('API token').inputValue(), '');
  });
});

test('a token that the server does not know is refused in words', async () => {
  const token = 'x'.repeat(40);
  await inTab(Tab.blank(browser, server, { token }), async ({ page }) => {
    await page.goto(server.console);
    for (const [text, answer] of [
      ['', /Paste an API token/],
      ['<img src=x>', /characters that no token has/],
      ['y'.repeat(5000), /at most 512 characters/],
      [token, /does not accept this token/],
    ] as const) {
      await page.getByLabel('API token').fill(text);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.locator('.report').getByText(answer).waitFor();
    }
  });
});

test('a token that ends signs the tab out', async () => {
  const { id, value } = await server.createToken(['Client Certificates Read', 'Zone Read']);
  await inTab(Tab.open(browser, server, 'overview', { token: value }), async (tab) => {
    await server.result('DELETE', `/client/v4/user/tokens/${id}`);
    // The page polls, because this token may not read the stream.
    await tab.page.getByText(/You were signed out/).waitFor();
    assert.deepEqual(await stored(tab), []);
  });
});

test('a token that expires while it is used signs the tab out', async () => {
  const { id, value } = await server.createToken(['Client Certificates Read', 'Zone Read']);
  await inTab(Tab.open(browser, server, 'certificates', { token: value }), async (tab) => {
    const path = `/client/v4/user/tokens/${id}`;
    const token = await server.get<{ name: string; policies: unknown }>(path);
    const expires_on = new Date(Date.now() + 3_000).toISOString().replace(/\.\d+/, '');
    await server.result('PUT', path, { ...token, expires_on });
    await tab.page.getByText(/You were signed out/).waitFor();
    assert.deepEqual(await stored(tab), []);
  });
});

test('a busy server is asked again, with a note', async () => {
  await server.issue('patience');
  await inTab(Tab.open(browser, server, 'overview'), async ({ main, page }) => {
    let refusals = 2;
    await page.route('**/client_certificates?*', async (route) => {
      refusals -= 1;
      if (refusals < 0) return route.continue();
      const errors = [{ code: 10429, message: 'slow down' }];
      const body = { success: false, errors, messages: [], result: null };
      return route.fulfill({ status: 429, headers: { 'retry-after': '1' }, json: body });
    });
    await page.getByRole('link', { name: 'Certificates', exact: true }).click();
    await page.getByText(/^The server is busy/).waitFor();
    await main.getByText('1 certificate').first().waitFor();
    await page.getByText(/^The server is busy/).waitFor({ state: 'hidden' });
    assert(refusals < 0);
  });
});

test('a browser that is offline says so, and goes on afterwards', async () => {
  await inTab(Tab.open(browser, server, 'overview'), async ({ context, main, page }) => {
    await context.setOffline(true);
    await page.getByText(/^No connection to the server/).waitFor();
    await context.setOffline(false);
    await page.getByText(/^No connection to the server/).waitFor({ state: 'hidden' });
    await page.getByRole('link', { name: 'Certificates', exact: true }).click();
    await main.getByText(/certificates?$/).first().waitFor();
  });
});

test('a page that the token may not open says which permission it lacks', async () => {
  const { value } = await server.createToken(['Client Certificates Issue', 'Zone Read']);
  await inTab(Tab.open(browser, server, 'overview', { token: value }), async ({ page }) => {
    await page.getByText(/lacks the permission Client Certificates Read/).waitFor();
  });
});

test('a lost connection is shown, and the page recovers', async () => {
  const own = await Server.start();
  try {
    await inTab(Tab.open(browser, own, 'overview'), async (tab) => {
      await own.kill();
      const lost = tab.page.getByText(/^No connection to the server/);
      await lost.waitFor();
      await own.restart();
      await lost.waitFor({ state: 'hidden' });
      // The stream of changes goes on too.
      const { id } = await own.issue('after-the-restart');
      await own.result('DELETE', `${own.zone}/client_certificates/${id}`);
      await tab.main.getByRole('link', { name: /evoked\s+1/ }).waitFor();
    });
  } finally {
    await own.stop();
  }
});

test('addresses of zones and pages that do not exist are explained', async () => {
  await inTab(Tab.open(browser, server, 'nothing/here'), async (tab) => {
    await tab.page.getByText(/has no page at this address/).waitFor();
    await tab.go(`overview?zone=${'0'.repeat(32)}`);
    await tab.page.getByText(/does not see the zone/).waitFor();
  });
});
