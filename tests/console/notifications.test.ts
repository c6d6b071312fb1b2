// Notifications: the state of the destinations, a test, and events that a receiver refuses.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server as Receiver } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import type { Browser, Page } from 'playwright-core';

import { inTab, launch, Tab } from './browser.js';
import { Server } from './server.js';

let receiver: Receiver;
/** The status of the receiver's answers. */
let status = 204;
let folder: string;
let server: Server;
let browser: Browser;
before(async () => {
  receiver = createServer((request, answer) => {
    request.resume().on('end', () => answer.writeHead(status).end());
  });
  await new Promise<void>((listening) => receiver.listen(0, '127.0.0.1', listening));
  folder = mkdtempSync(join(tmpdir(), 'certgate-webhook-'));
  const secret = join(folder, 'secret');
  writeFileSync(secret, `whsec_${randomBytes(32).toString('base64')}\n`);
  chmodSync(secret, 0o600);
  const { port } = receiver.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/hook?key=hidden`;
  const settings = ['--webhook-url', url, '--webhook-secret-file', secret];
  [server, browser] = await Promise.all([Server.start(...settings), launch()]);
});
after(async () => {
  await browser.close();
  await server.stop();
  receiver.close();
  receiver.closeAllConnections();
  rmSync(folder, { recursive: true });
});

const dialog = (page: Page) => page.getByRole('dialog');

test('a test is sent, and its outcome is shown', async () => {
  await inTab(Tab.open(browser, server, 'notifications'), async ({ main, page }) => {
    const row = page.getByRole('row', { name: 'Webhook' });
    await row.getByText('Delivers').waitFor();
    assert(!(await main.innerText()).includes('hidden'));
    await page.getByRole('button', { name: 'Send a test…' }).click();
    await dialog(page).getByRole('button', { name: 'Send', exact: true }).click();
    await main.getByText(/Webhook: the test was delivered after \d+ ms/).waitFor();
    status = 500;
    await page.getByRole('button', { name: 'Send a test…' }).click();
    await dialog(page).getByRole('button', { name: 'Send', exact: true }).click();
    await main.getByText(/Webhook: the test was not delivered: .*500/).waitFor();
    status = 204;
  });
});

test('an event that is refused is listed, and tried again', async () => {
  status = 422;
  const { id } = await server.issue('refused');
  await inTab(Tab.open(browser, server, 'notifications'), async ({ main, page }) => {
    const row = page.getByRole('row', { name: id });
    await row.waitFor({ timeout: 120_000 });
    assert.match(await row.innerText(), /certificate\.issued[^]*422/);
    status = 204;
    await page.getByRole('button', { name: 'Try undelivered events again…' }).click();
    await dialog(page).getByRole('button', { name: 'Try again' }).click();
    await main.getByText('1 event is tried again.').waitFor();
    await main.getByText('No event was set aside').waitFor({ timeout: 60_000 });
  });
});

test('a token that only reads says what it lacks', async () => {
  const { value: token } = await server.createToken(['User Details Read', 'Zone Read']);
  await inTab(Tab.open(browser, server, 'notifications', { token }), async ({ main, page }) => {
    await main.getByText('needs the permission User Details Write').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Send a test…' }).count(), 0);
  });
});

test('a server without destinations says how to set one', async () => {
  const bare = await Server.start();
  try {
    await inTab(Tab.open(browser, bare, 'notifications'), async ({ main }) => {
      await main.getByText('No destinations').waitFor();
      await main.getByText('--webhook-url').waitFor();
    });
  } finally {
    await bare.stop();
  }
});
