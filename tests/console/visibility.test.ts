// A tab that the user does not see asks the server for nothing.

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

/** Hides the tab or shows it, as the page sees it: a headless browser shows every tab. */
const setHidden = ({ page }: Tab, isHidden: boolean) =>
  page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);

/** Opens a tab whose clock the test moves. */
async function withClock(path: string, token: string): Promise<Tab> {
  const tab = await Tab.blank(browser, server, { token });
  await tab.page.clock.install();
  await tab.page.goto(`${server.console}#/${path}`);
  await tab.signIn();
  return tab;
}

const STREAM = /\/revocation_stream\?/;

test('a hidden tab ends its stream, and opens another one when it is seen again', async () => {
  await inTab(Tab.blank(browser, server), async (tab) => {
    const { page } = tab;
    const opened = page.waitForRequest(STREAM);
    await page.goto(`${server.console}#/overview`);
    await tab.signIn();
    const stream = await opened;
    const ended = page.waitForEvent('requestfailed', (request) => request === stream);
    await setHidden(tab, true);
    assert.equal((await ended).failure()?.errorText, 'net::ERR_ABORTED');
    const again = page.waitForRequest(STREAM);
    await setHidden(tab, false);
    await again;
  });
});

test('a hidden tab without a stream does not poll, and does when it is seen again', async () => {
  const { value } = await server.createToken(['Client Certificates Read', 'Zone Read']);
  await inTab(withClock('overview', value), async (tab) => {
    const { page } = tab;
    const summary = /\/summary$/;
    const polled = page.waitForRequest(summary);
    await page.clock.runFor(6_000);
    await polled;
    await tab.settle();
    await setHidden(tab, true);
    const before = tab.requests.length;
    // Two minutes are 24 periods of the polling.
    await page.clock.runFor(120_000);
    const asked = tab.requests.slice(before).map((request) => request.url());
    assert.deepEqual(asked, []);
    const again = page.waitForRequest(summary);
    await setHidden(tab, false);
    await page.clock.runFor(6_000);
    await again;
  });
});
