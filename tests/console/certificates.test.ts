// Finding, choosing, exporting, revoking and restoring certificates, among 100,000.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import type { Browser, Page } from 'playwright-core';

import { inTab, launch, Tab } from './browser.js';
import { type Certificate, type Server as Running, Server } from './server.js';

/** The rows of a page, unless the user chooses another number. */
const PAGE = 50;

let server: Server;
let browser: Browser;

before(async () => {
  [server, browser] = await Promise.all([Server.withEstate(), launch()]);
});
after(async () => {
  await browser.close();
  await server.stop();
});

const list = (query: string) =>
  server.get<Certificate[]>(`${server.zone}/client_certificates?${query}`);

const total = async (query: string): Promise<number> => {
  const path = `${server.zone}/client_certificates?per_page=5&${query}`;
  const { result_info: info } = await server.send<Certificate[]>('GET', path);
  return info?.total_count ?? NaN;
};

const rows = (page: Page) => page.locator('tbody tr');
const searchBox = (page: Page) => page.getByRole('searchbox');

const waitForRows = (page: Page, count: number) =>
  page.waitForFunction((wanted) => document.querySelectorAll('tbody tr').length === wanted, count);

/** Waits until the list has exactly these names, in any order. */
async function waitForNames(page: Page, names: readonly string[]): Promise<void> {
  await page.waitForFunction((wanted) => {
    const shown = [...document.querySelectorAll('tbody th')].map(({ textContent }) =>
      (textContent ?? '').trim(),
    );
    return JSON.stringify(shown.toSorted()) === JSON.stringify(wanted.toSorted());
  }, [...names]);
}

test('the list begins with active certificates and their exact number', async () => {
  const number = (await total('')).toLocaleString('en');
  await inTab(Tab.open(browser, server, 'certificates'), async ({ main, page }) => {
    await main.getByText(`${number} certificates`).waitFor();
    assert.equal(await rows(page).count(), PAGE);
    assert.equal(await page.getByRole('combobox', { name: 'Status' }).inputValue(), 'active');
  });
});

test('a name is found while typing, and the view can be shared', async () => {
  const [certificate] = await list('common_name.startswith=laptop-00&per_page=5&page=7');
  const name = certificate?.common_name ?? '';
  assert.match(name, /^laptop-00/);
  const matches = await list(`common_name.startswith=${name}&limit=50`);
  const matching = matches.map((match) => match.common_name);
  let shared = '';
  await inTab(Tab.open(browser, server, 'certificates'), async ({ page }) => {
    await searchBox(page).pressSequentially(name);
    await waitForNames(page, matching);
    assert.equal(await searchBox(page).inputValue(), name);
    shared = new URL(page.url()).hash.slice(2);
  });
  await inTab(Tab.open(browser, server, shared), async ({ main, page }) => {
    await waitForNames(page, matching);
    await page.getByRole('button', { name: /^Remove the filter/ }).first().click();
    const all = `${(await total('')).toLocaleString('en')} certificates`;
    await main.getByText(all).waitFor();
  });
});

test('a certificate is found by its pasted PEM, serial number, fingerprint and ID', async () => {
  const [certificate] = await list('status=revoked&per_page=5');
  assert(certificate);
  const { id, common_name: name, certificate: pem } = certificate;
  await inTab(Tab.open(browser, server, 'certificates'), async (tab) => {
    const { main, page } = tab;
    const link = rows(page).getByRole('link', { name });
    for (const text of [pem, certificate.serial_number, certificate.fingerprint_sha256, id]) {
      await searchBox(page).fill(text);
      await waitForRows(page, 1);
      assert.match((await link.getAttribute('href')) ?? '', new RegExp(`certificates/${id}`));
      await searchBox(page).fill('');
      await waitForRows(page, PAGE);
    }
    await searchBox(page).fill(pem);
    await main.getByText('This is the certificate that you pasted.').waitFor();
    await page.getByRole('link', { name: 'Open it' }).click();
    await page.getByRole('heading', { level: 1, name }).waitFor();
  });
});

test('a private key in the search box is removed and not sent', async () => {
  const key = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----';
  await inTab(Tab.open(browser, server, 'certificates'), async ({ main, page, requests }) => {
    await searchBox(page).fill(key);
    await main.getByText(/^This is a private key/).waitFor();
    assert.equal(await searchBox(page).inputValue(), '');
    assert(!requests.some((request) => /MIGHAg/.test(request.url() + request.postData())));
    assert(!page.url().includes('MIGHAg'));
  });
});

test('every page of the list can be reached', async () => {
  const number = await total('');
  const last = Math.ceil(number / PAGE);
  await inTab(Tab.open(browser, server, 'certificates'), async ({ page }) => {
    await page.getByRole('button', { name: 'Last page' }).click();
    await page.waitForFunction((path) => location.hash.includes(path), `page=${last}`);
    const names = (await list(`per_page=${PAGE}&page=${last}`)).map((c) => c.common_name);
    await waitForNames(page, names);
    await page.goBack();
    await waitForNames(page, (await list(`per_page=${PAGE}`)).map((c) => c.common_name));
  });
});

test('a page of the list leaves nothing in the document', async () => {
  await inTab(Tab.open(browser, server, 'certificates?status=all&replaced=all'), async (tab) => {
    // Comments too: lit-html has one at each end of its parts.
    const nodes = () =>
      tab.page.evaluate(() => document.querySelector('table')?.childNodes.length ?? 0);
    const first = await nodes();
    for (const number of [2, 3, 4]) {
      await tab.go(`certificates?status=all&replaced=all&page=${number}`);
    }
    assert.equal(await nodes(), first);
  });
});

test('a choice lasts across pages and searches', async () => {
  await inTab(Tab.open(browser, server, 'certificates'), async (tab) => {
    const { main, page } = tab;
    const boxes = rows(page).getByRole('checkbox');
    await boxes.nth(0).check();
    await boxes.nth(1).check();
    await tab.go('certificates?page=3');
    await page.getByRole('checkbox', { name: 'Choose all on this page' }).check();
    await main.getByText(`${PAGE + 2} chosen`).waitFor();
    await tab.go('certificates');
    const chosen = await Promise.all([0, 1, 2].map((row) => boxes.nth(row).isChecked()));
    assert.deepEqual(chosen, [true, true, false]);
    await page.getByRole('button', { name: 'Choose none' }).click();
    await main.getByText(/chosen$/).waitFor({ state: 'hidden' });
  });
});

test('an export has every match once', async () => {
  const number = await total('status=revoked');
  assert(number > 3000);
  await inTab(Tab.open(browser, server, 'certificates?status=revoked'), async ({ page }) => {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export CSV' }).click(),
    ]);
    assert.match(download.suggestedFilename(), /\.csv$/);
    const lines = (await readFile(await download.path(), 'utf8')).trimEnd().split('\r\n');
    assert.match(lines[0] ?? '', /^\ufeff?"id","common_name","status"/);
    const ids = new Set(lines.slice(1).map((line) => line.split(',')[0]));
    assert.deepEqual([lines.length - 1, ids.size], [number, number]);
  });
});

/** Registers an enforcement point, which acknowledges when the test says so. */
async function point(on: Running, name: string) {
  const path = `${on.account}/enforcement_points`;
  const made = await on.result<{ id: string }>('POST', path, { name, lease_seconds: 600 });
  const acknowledge = async () => {
    const { epoch } = await on.get<{ epoch: number }>(`${on.account}/enforcement`);
    await on.result('PUT', `${path}/${made.id}/acknowledgement`, { epoch });
  };
  await acknowledge();
  return { acknowledge, remove: () => on.result('DELETE', `${path}/${made.id}`) };
}

test('a revocation reaches each enforcement point, settles, and is undone', async () => {
  const { id, common_name: name } = await server.issue('revoke-me');
  const [near, far] = await Promise.all([point(server, 'edge-near'), point(server, 'edge-far')]);
  await inTab(Tab.open(browser, server, `certificates/${id}`), async ({ main, page }) => {
    await page.getByRole('heading', { level: 1, name }).waitFor();
    await page.getByRole('button', { name: 'Revoke…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('You can undo this').waitFor();
    await dialog.getByRole('button', { name: 'Revoke', exact: true }).click();
    const stateOf = (at: string) => page.locator('tr', { hasText: at });
    await stateOf('edge-near').getByText('Not confirmed yet').waitFor();
    await near.acknowledge();
    await stateOf('edge-near').getByText('Refuses it').waitFor();
    await stateOf('edge-far').getByText('Not confirmed yet').waitFor();
    assert.equal((await server.certificate(id)).status, 'pending_revocation');
    await far.acknowledge();
    await main.getByText(/^Settled: every revocation list has it/).waitFor();
    assert.equal((await server.certificate(id)).status, 'revoked');
    await page.getByRole('button', { name: 'Restore' }).click();
    await stateOf('edge-far').getByText('Not confirmed yet').waitFor();
    await Promise.all([near.acknowledge(), far.acknowledge()]);
    await main.getByText(/^Settled: no revocation list has it/).waitFor();
    assert.equal((await server.certificate(id)).status, 'active');
  });
  await Promise.all([near.remove(), far.remove()]);
});

test('a final reason is announced as final, and cannot be undone', async () => {
  const { id } = await server.issue('stolen');
  await inTab(Tab.open(browser, server, `certificates/${id}`), async ({ main, page }) => {
    await page.getByRole('button', { name: 'Revoke…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Key stolen or copied').click();
    await dialog.getByText('You CANNOT undo this').waitFor();
    await dialog.getByText(/"reason":"keyCompromise"/).waitFor({ state: 'attached' });
    await dialog.getByRole('button', { name: 'Revoke for good' }).click();
    await main.getByText('This revocation is final.').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Restore' }).count(), 0);
    assert.match((await server.certificate(id)).status, /revo/);
  });
});

test('Escape closes the dialog, changes nothing, and returns the focus', async () => {
  const { id } = await server.issue('stays');
  await inTab(Tab.open(browser, server, `certificates/${id}`), async ({ page }) => {
    const revoke = page.getByRole('button', { name: 'Revoke…' });
    await revoke.click();
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert(await revoke.evaluate((button) => button === document.activeElement));
    assert.equal((await server.certificate(id)).status, 'active');
  });
});

test('the files of a certificate are its PEM, and the chain to its CA', async () => {
  const { id, certificate: pem } = await server.issue('files');
  await inTab(Tab.open(browser, server, `certificates/${id}`), async ({ page }) => {
    const saved = async (name: string) => {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name }).click(),
      ]);
      return readFile(await download.path(), 'utf8');
    };
    assert.equal((await saved('Download certificate')).trim(), pem.trim());
    const chain = await saved('Download with CA');
    assert(chain.startsWith(pem.trim()));
    assert.equal(chain.match(/BEGIN CERTIFICATE/g)?.length, 2);
  });
});

test('a token that may only read sees no way to change anything, and why', async () => {
  const { id } = await server.issue('read-only');
  const { value: token } = await server.createToken(['Client Certificates Read', 'Zone Read']);
  await inTab(Tab.open(browser, server, `certificates/${id}`, { token }), async (tab) => {
    const { main, page } = tab;
    await main.getByText(/lacks Client Certificates Revoke/).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Revoke…' }).count(), 0);
    await tab.go('certificates');
    await rows(page).getByRole('checkbox').first().check();
    await main.getByText(/lacks a permission to change them/).waitFor();
  });
});

test('the list shows the newest of each line, and the replaced ones on request', async () => {
  const zone = server.installation.second_zone_id;
  const path = `/client/v4/zones/${zone}/client_certificates`;
  const count = async (query: string) => {
    const { result_info: info } = await server.send<Certificate[]>('GET', `${path}?${query}`);
    return info?.total_count ?? NaN;
  };
  const [newest, replaced] = [await count('replaced=false'), await count('replaced=true')];
  assert(newest > 0 && replaced > 0);
  const view = `certificates?zone=${zone}`;
  await inTab(Tab.open(browser, server, view), async ({ main, page }) => {
    const choice = page.getByRole('combobox', { name: 'Replaced' });
    await main.getByText(`${newest} certificates`).waitFor();
    assert.equal(await main.getByText('○ Replaced').count(), 0);
    await page.getByRole('button', { name: `Show ${replaced} others` }).click();
    await main.getByText(`${newest + replaced} certificates`).waitFor();
    assert.equal(await choice.inputValue(), 'all');
    await choice.selectOption('true');
    await main.getByText(`${replaced} certificates`).waitFor();
    await waitForRows(page, replaced);
    assert.equal(await main.getByText('○ Replaced').count(), replaced);
  });
});

test('the overview counts the newest certificates of each line', async () => {
  const zone = server.installation.second_zone_id;
  const path = `/certgate/v1/zones/${zone}/summary`;
  const { totals, replaced } = await server.get<Record<string, { active: number }>>(path);
  assert(totals && replaced && replaced.active > 0);
  await inTab(Tab.open(browser, server, `overview?zone=${zone}`), async ({ main, page }) => {
    const newest = totals.active - replaced.active;
    await main.getByRole('link', { name: new RegExp(`^Active\\s+${newest}$`) }).click();
    await main.getByText(`${newest} certificates`).waitFor();
    await page.goBack();
    await main.getByRole('link', { name: /that a renewal replaced/ }).click();
    await main.getByText(`${replaced.active} certificates`).waitFor();
  });
});

test('the page of a certificate leads along its line', async () => {
  const zone = server.installation.second_zone_id;
  const path = `/client/v4/zones/${zone}/client_certificates`;
  const [newest] = await server.get<Certificate[]>(`${path}?common_name=sensor-000&replaced=false`);
  const older = newest?.certgate?.replaces ?? '';
  const view = `certificates/${newest?.id}?zone=${zone}`;
  await inTab(Tab.open(browser, server, view), async (tab) => {
    const { main, page } = tab;
    await main.getByText('by the holder of the certificate').waitFor();
    await page.getByRole('button', { name: 'Revoke…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('The certificate that this one replaced still works.').waitFor();
    await page.keyboard.press('Escape');
    const line = page.getByRole('region', { name: 'Renewals' });
    await line.getByRole('link', { name: older }).click();
    await main.getByText(/replaced this one. It still works/).waitFor();
    await line.getByRole('link', { name: newest?.id ?? '-' }).waitFor();
    await tab.go(`audit?certificate=${newest?.id}&zone=${zone}`);
    await main.getByText('Holder of the certificate').waitFor();
    await main.getByRole('link', { name: `…${older.slice(-8)}` }).waitFor();
  });
});

test('a bulk revocation of the newest certificates says that replaced ones still work', async () => {
  const zone = server.installation.second_zone_id;
  const view = `bulk?action=revoke&common_name=sensor-000&replaced=false&zone=${zone}`;
  await inTab(Tab.open(browser, server, view), async ({ main, page }) => {
    await main.getByText('1 certificate matches', { exact: true }).waitFor();
    await main.getByText('3 replaced certificates match too.').waitFor();
    await page.getByRole('button', { name: 'Include replaced ones' }).click();
    await main.getByText('4 certificates match', { exact: true }).waitFor();
  });
});

test('filters, page and position survive the page of a certificate', async () => {
  const path = 'certificates?status=all&page=4';
  await inTab(Tab.open(browser, server, path), async ({ page }) => {
    const before = new URL(page.url()).hash;
    const row = rows(page).nth(40).getByRole('link');
    await row.scrollIntoViewIfNeeded();
    const position = await page.evaluate(() => scrollY);
    assert(position > 0);
    await row.click();
    await page.getByRole('heading', { name: 'History' }).waitFor();
    await page.getByRole('link', { name: '← All certificates' }).click();
    await rows(page).nth(49).waitFor();
    assert.equal(new URL(page.url()).hash, before);
    await page.waitForFunction((wanted) => Math.abs(scrollY - wanted) < 2, position);
  });
});
