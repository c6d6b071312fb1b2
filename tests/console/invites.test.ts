// Invites: created with a link and a QR code that are shown once, listed, withdrawn.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { Browser, Page } from 'playwright-core';
import decodeQR from 'qr/decode.js';

import { inTab, launch, Tab } from './browser.js';
import { Server } from './server.js';

const LINKS = 'https://invite.example.com';

let server: Server;
let browser: Browser;
before(async () => {
  [server, browser] = await Promise.all([Server.start('--invite-url', LINKS), launch()]);
});
after(async () => {
  await browser.close();
  await server.stop();
});

const dialog = (page: Page) => page.getByRole('dialog');

/** Returns the text of the QR code that the page shows. */
async function scanned(page: Page): Promise<string> {
  const code = page.getByRole('img', { name: 'QR code of the link' });
  const colours = await code.evaluate((svg) =>
    ['.light', '.dark'].map((part) => getComputedStyle(svg.querySelector(part) ?? svg).fill),
  );
  assert.deepEqual(colours, ['rgb(255, 255, 255)', 'rgb(0, 0, 0)']);
  const [box = '', path = ''] = await code.evaluate((svg) => [
    svg.getAttribute('viewBox') ?? '',
    svg.querySelector('path')?.getAttribute('d') ?? '',
  ]);
  // A camera has several pixels for each square.
  const scale = 4;
  const width = Number(box.split(' ')[2]) * scale;
  const data = new Uint8Array(width * width * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) {
    for (let row = 0; row < scale; row += 1) {
      const begin = ((Number(y) * scale + row) * width + Number(x) * scale) * 4;
      for (let pixel = 0; pixel < scale; pixel += 1) {
        data.fill(0, begin + pixel * 4, begin + pixel * 4 + 3);
      }
    }
  }
  return decodeQR({ width, height: width, data });
}

async function invite(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Invite…' }).click();
  await dialog(page).getByLabel('Name', { exact: true }).fill(name);
  await dialog(page).getByRole('button', { name: 'Create the link' }).click();
  await dialog(page).waitFor({ state: 'detached' });
}

test('an invite is created, shown once, and withdrawn', async () => {
  await inTab(Tab.open(browser, server, 'invites'), async (tab) => {
    const { main, page } = tab;
    await main.getByText('No invites').waitFor();
    await page.getByRole('button', { name: 'Invite…' }).click();
    await dialog(page).getByLabel('Name', { exact: true }).fill('anna');
    await dialog(page).getByLabel('Device').selectOption('iPhone or iPad');
    await dialog(page).getByLabel('Lifetime of the certificate').fill('2x');
    await dialog(page).getByText('Use a time of at least an hour').waitFor();
    await dialog(page).getByLabel('Lifetime of the certificate').fill('30d');
    await dialog(page).getByRole('button', { name: 'Create the link' }).click();
    await dialog(page).waitFor({ state: 'detached' });
    const link = await main.locator('pre.secret').innerText();
    assert.match(link, /^https:\/\/invite\.example\.com\/i\/[0-9a-f]{32}#.{20,}$/);
    assert.equal(await scanned(page), link);
    // Leaving would lose it.
    await page.getByRole('link', { name: 'Zones' }).click();
    await dialog(page).getByText('Leave this page?').waitFor();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save as a file' }).click(),
    ]);
    assert.equal(download.suggestedFilename(), 'anna.txt');
    await main.getByRole('button', { name: 'Close', exact: true }).click();
    assert(!(await page.content()).includes(link.split('#')[1] ?? '-'));

    const row = page.getByRole('row', { name: 'anna' });
    await row.getByText('iPhone or iPad').waitFor();
    await row.getByText('0 of 1').waitFor();
    await row.getByRole('button', { name: 'Withdraw…' }).click();
    await dialog(page).getByRole('button', { name: 'Withdraw', exact: true }).click();
    await row.getByText('Withdrawn').waitFor();
    assert.equal(await row.getByRole('button').count(), 0);
  });
  const zone = server.installation.zone_id;
  const [made] = await server.get<{ lifetime: number; state: string; device: string }[]>(
    `/certgate/v1/zones/${zone}/invites`,
  );
  assert.deepEqual(
    [made?.lifetime, made?.state, made?.device],
    [30 * 86_400, 'withdrawn', 'iphone'],
  );
});

test('a name that the rules refuse is named, and the form keeps it', async () => {
  const path = `/certgate/v1/zones/${server.installation.zone_id}/issuance_rules`;
  await server.result('PUT', path, { common_names: ['build-*'] });
  await inTab(Tab.open(browser, server, 'invites'), async ({ page }) => {
    await page.getByRole('button', { name: 'Invite…' }).click();
    await dialog(page).getByLabel('Name', { exact: true }).fill('anna');
    await dialog(page).getByRole('button', { name: 'Create the link' }).click();
    await dialog(page)
      .getByText(/Error \d+/)
      .waitFor();
    assert.equal(await dialog(page).getByLabel('Name', { exact: true }).inputValue(), 'anna');
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
    await invite(page, 'build-1');
    await page.getByRole('row', { name: 'build-1' }).waitFor();
    await page.getByRole('button', { name: 'Save as a file' }).click();
    await page.getByText('Saved.').waitFor();
  });
  await server.result('PUT', path, {});
});

test('a token that cannot create invites says why', async () => {
  const reads = ['Client Certificates Read', 'Zone Read'];
  const { value: reader } = await server.createToken(reads);
  await inTab(Tab.open(browser, server, 'invites', { token: reader }), async ({ main }) => {
    await main.getByText('needs the permission Client Certificates Issue').waitFor();
  });
  const more = { issuance_rules: { common_names: ['build-*'] } };
  const { value: limited } = await server.createToken(
    [...reads, 'Client Certificates Issue'],
    more,
  );
  await inTab(Tab.open(browser, server, 'invites', { token: limited }), async ({ main }) => {
    await main.getByText('Your token has issuance rules of its own.').waitFor();
  });
});
