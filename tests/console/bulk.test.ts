// Changes of many certificates, and a server that fails in the middle.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { Browser, Page } from 'playwright-core';

import { inTab, launch, Tab } from './browser.js';
import { Api, type Certificate, Server } from './server.js';

/** Certificates to change: enough that the server can be stopped in the middle. */
const MATCHING = 160;

let server: Server;
let browser: Browser;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
});
after(async () => {
  await browser.close();
  await server.stop();
});

const issue = (prefix: string, count: number) =>
  Api.each(Array.from({ length: count }, (_, number) => `${prefix}-${number}`), (name) =>
    server.issue(name),
  );

/** The names of all revoked certificates that begin with this text. */
async function revoked(prefix: string): Promise<string[]> {
  const path = `${server.zone}/client_certificates?limit=1000&status=all`;
  const all = await server.get<Certificate[]>(path);
  return all
    .filter(({ status, common_name: name }) => /revo/.test(status) && name.startsWith(prefix))
    .map(({ common_name: name }) => name)
    .toSorted();
}

/** Searches, looks at the preview and types the number. Does not begin. */
async function prepare(page: Page, prefix: string, count: number): Promise<void> {
  await page.getByRole('searchbox').fill(prefix);
  await page.getByText(`${count} certificates match`).waitFor();
  await page.getByRole('button', { name: 'Preview' }).click();
  await page.getByRole('heading', { name: `Revoke ${count} certificates?` }).waitFor();
}

const start = (page: Page, count: number) =>
  page.getByRole('button', { name: `Revoke ${count} certificates` });

test('a bulk action changes exactly the certificates of its preview, and undoes them', async () => {
  const some = (await issue('fleet-a', 25)).map((c) => c.common_name).toSorted();
  await issue('fleet-b', 5);
  await inTab(Tab.open(browser, server, 'bulk'), async ({ main, page }) => {
    await prepare(page, 'fleet-a', 25);
    // Issued after the list was made: not a part of it.
    await server.issue('fleet-a-later');
    const number = page.getByRole('textbox', { name: 'Type the number' });
    await number.fill('24');
    await main.getByText('This is not the number').waitFor();
    assert(await start(page, 25).isDisabled());
    await number.fill('25');
    await start(page, 25).click();
    await main.getByText('25 certificates revoked.').waitFor();
    assert.deepEqual(await revoked('fleet-'), some);
    await page.getByRole('button', { name: 'Undo: 25 certificates' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Undo' }).click();
    await main.getByText('25 certificates restored.').waitFor();
    assert.deepEqual(await revoked('fleet-'), []);
  });
});

test('a server that restarts in the middle changes each certificate once', async () => {
  const all = (await issue('crash', MATCHING)).map((c) => c.common_name).toSorted();
  await issue('other', 5);
  await inTab(Tab.open(browser, server, 'bulk'), async ({ main, page }) => {
    await prepare(page, 'crash', MATCHING);
    await page.getByRole('textbox', { name: 'Type the number' }).fill(String(MATCHING));
    let changes = 0;
    const inTheMiddle = new Promise<void>((resolve) => {
      page.on('response', (response) => {
        if (response.request().method() === 'DELETE') changes += 1;
        if (changes === MATCHING / 4) resolve();
      });
    });
    await start(page, MATCHING).click();
    await inTheMiddle;
    await server.kill();
    await main.getByText(/^The server does not answer/).waitFor();
    assert.equal(await main.getByText(`${MATCHING} certificates revoked.`).count(), 0);
    await server.restart();
    await main.getByText(`${MATCHING} certificates revoked.`).waitFor();
    assert.deepEqual(await revoked(''), all);
    await page.getByRole('button', { name: `Undo: ${MATCHING} certificates` }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Undo' }).click();
    await main.getByText(`${MATCHING} certificates restored.`).waitFor();
    assert.deepEqual(await revoked(''), []);
  });
});

test('leaving a running action asks first, and staying continues it', async () => {
  await issue('leave', MATCHING);
  await inTab(Tab.open(browser, server, 'bulk'), async ({ main, page }) => {
    await prepare(page, 'leave', MATCHING);
    await page.getByRole('textbox', { name: 'Type the number' }).fill(String(MATCHING));
    // Answers wait here until the test has asked to leave.
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    await page.route('**/client_certificates/*', async (route) => {
      await released;
      await route.continue();
    });
    await start(page, MATCHING).click();
    await page.getByRole('progressbar').waitFor();
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    await page.waitForURL(/#\/bulk/);
    release();
    await main.getByText(`${MATCHING} certificates revoked.`).waitFor();
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  });
  assert.equal((await revoked('leave')).length, MATCHING);
});

test('an action that was left in the middle is continued later', async () => {
  const all = (await issue('later', MATCHING)).map((c) => c.common_name).toSorted();
  await inTab(Tab.open(browser, server, 'bulk'), async (tab) => {
    const { main, page } = tab;
    await prepare(page, 'later', MATCHING);
    await main.getByRole('textbox', { name: 'Type the number' }).fill(String(MATCHING));
    // The first requests pass. The others wait here until the user has left.
    let passing = MATCHING / 4;
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    await page.route('**/client_certificates/*', async (route) => {
      passing -= 1;
      if (passing < 0) await released;
      // The page ends those that wait when it is left.
      await route.continue().catch(() => {});
    });
    await start(page, MATCHING).click();
    await main.getByText(`${MATCHING / 4} of ${MATCHING}`).waitFor();
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Leave' }).click();
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    release();
    await tab.go('bulk');
    await main.getByRole('button', { name: 'Continue' }).click();
    await main.getByText(/\d+ certificates revoked\./).waitFor();
    assert.deepEqual(await revoked('later'), all);
  });
});

test('chosen certificates, with a final reason, cannot be undone', async () => {
  await issue('chosen', 3);
  await inTab(Tab.open(browser, server, 'certificates'), async ({ main, page }) => {
    await page.getByRole('searchbox').fill('chosen-');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 3);
    await page.locator('tbody').getByRole('checkbox').nth(0).check();
    await page.locator('tbody').getByRole('checkbox').nth(2).check();
    await page.getByRole('link', { name: 'Revoke…' }).click();
    await page.getByRole('heading', { name: 'Revoke 2 certificates?' }).waitFor();
    await main.getByText('No longer used').click();
    await main.getByText('You CANNOT undo this').waitFor();
    await page.getByRole('textbox', { name: 'Type the number' }).fill('2');
    await start(page, 2).click();
    await main.getByText('2 certificates revoked.').waitFor();
    await main.getByText('You cannot undo this action').waitFor();
    assert.equal(await page.getByRole('button', { name: /^Undo/ }).count(), 0);
  });
  assert.equal((await revoked('chosen')).length, 2);
});

test('a token that may not revoke cannot begin', async () => {
  const names = ['Client Certificates Read', 'Zone Read'];
  const { value: token } = await server.createToken(names);
  await inTab(Tab.open(browser, server, 'bulk', { token }), async ({ main, page }) => {
    await main.getByText(/lacks a permission to change them/).waitFor();
    assert(await page.getByRole('button', { name: 'Preview' }).isDisabled());
  });
});
