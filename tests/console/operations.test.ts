// Issuing, CAs, hostnames, enforcement points, rules, zones, tokens and the audit log.

import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import type { Browser, Locator, Page } from 'playwright-core';

import { inTab, launch, Tab } from './browser.js';
import { Api, type Certificate, makeCsr, Server } from './server.js';

let server: Server;
let browser: Browser;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
});
after(async () => {
  await browser.close();
  await server.stop();
});

/** Clicks, and returns the content of the file that the browser saves. */
async function saved(page: Page, button: Locator): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
  return readFile(await download.path(), 'utf8');
}

const inDialog = (page: Page, button: string) =>
  page.getByRole('dialog').getByRole('button', { name: button, exact: true });

/** A sentence about a name, which the page isolates from the direction of the text around it. */
const done = (verb: string, name: string) => new RegExp(`^${verb} “\u2068?${name}\u2069?”`);

/** Opens a page of the navigation with a token that lacks the permission to change it. */
async function asReader(path: string, permissions: string[], body: (tab: Tab) => Promise<void>) {
  const { value: token } = await server.createToken(permissions, { name: 'reader' });
  await inTab(Tab.open(browser, server, path, { token }), body);
}

test('a pasted request is checked before it is sent, and issued', async () => {
  await inTab(Tab.open(browser, server, 'issue'), async ({ main, page, requests }) => {
    const field = main.getByLabel('Certificate signing request', { exact: true });
    const csr = makeCsr({ common_name: 'from-a-csr', organization: 'Example Ltd' });
    for (const [text, answer] of [
      ['hello', /^This is not a request/],
      ['-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----', /^This is a private key/],
      [csr.slice(0, 200), /is missing. Paste the whole file/],
      [csr.replace(/(.{64}\n)(.{64}\n)/, '$2$1'), /malformed|not a request/],
    ] as const) {
      await field.fill(text);
      await main.getByText(answer).waitFor();
      assert(await main.getByRole('button', { name: 'Issue', exact: true }).isDisabled());
    }
    assert(!requests.some((request) => request.method() === 'POST'));
    await field.fill(csr);
    await main.getByText('Made with this key').waitFor();
    await main.getByText('Example Ltd').waitFor();
    await main.getByRole('button', { name: 'Issue', exact: true }).click();
    await main.getByText('Issued. The certificate is valid now.').waitFor();
    const pem = await saved(page, main.getByRole('button', { name: 'Save certificate' }));
    assert.match(new X509Certificate(pem).subject, /CN=from-a-csr/);
    await main.getByRole('link', { name: 'Open the certificate' }).click();
    await page.getByRole('heading', { level: 1, name: 'from-a-csr' }).waitFor();
  });
});

test('a file that is dropped on the field is read', async () => {
  await inTab(Tab.open(browser, server, 'issue'), async ({ main, page }) => {
    const field = main.getByLabel('Certificate signing request', { exact: true });
    const data = await page.evaluateHandle((csr) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([csr], 'device.csr'));
      return transfer;
    }, makeCsr('dropped'));
    await field.dispatchEvent('dragover', { dataTransfer: data });
    await field.dispatchEvent('drop', { dataTransfer: data });
    await main.getByText('Made with this key').waitFor();
    await main.getByText('dropped', { exact: true }).waitFor();
  });
});

test('a key of the browser stays in the browser, and fits its certificate', async () => {
  await inTab(Tab.open(browser, server, 'issue?with=key'), async (tab) => {
    const { main, page, requests } = tab;
    await main.getByLabel('Common name').fill('made-here');
    await main.getByRole('button', { name: 'Create the key and issue' }).click();
    await main.getByText('Save the private key now.').waitFor();
    // The page asks before the key is lost.
    await page.getByRole('link', { name: 'Overview' }).click();
    await inDialog(page, 'Cancel').click();
    const key = await saved(page, main.getByRole('button', { name: 'Save private key' }));
    const pem = await saved(page, main.getByRole('button', { name: 'Save certificate' }));
    const certificate = new X509Certificate(pem);
    assert(certificate.checkPrivateKey(createPrivateKey(key)));
    assert.match(certificate.subject, /CN=made-here/);
    const secret = key.split('\n')[1] ?? '';
    assert(secret.length > 40);
    for (const request of requests) {
      assert(!(request.url() + (request.postData() ?? '')).includes(secret), request.url());
    }
  });
});

test('rules show while typing, and the server refuses with the same words', async () => {
  const path = `/certgate/v1/zones/${server.installation.zone_id}/issuance_rules`;
  await inTab(Tab.open(browser, server, 'rules'), async ({ main }) => {
    await main.getByLabel('Permitted common names').fill('build-*');
    await main.getByLabel('Longest lifetime').fill('90d');
    await main.getByRole('button', { name: 'Save the rules' }).click();
    await main.getByText('Saved. The rules hold').waitFor();
    const rules = await server.get<{ common_names: string[]; max_lifetime: number }>(path);
    assert.deepEqual([rules.common_names, rules.max_lifetime], [['build-*'], 90 * 86_400]);
  });
  await inTab(Tab.open(browser, server, 'issue?with=key'), async ({ main, page }) => {
    await main.getByLabel('Common name').fill('laptop-1');
    const refusal = /The common name “\u2068?laptop-1\u2069?” is not permitted/;
    await main.getByText(refusal).first().waitFor();
    await main.getByRole('button', { name: 'Create the key and issue' }).click();
    await main.getByRole('alert').getByText('Error 1540').waitFor();
    await main.getByLabel('Common name').fill('build-1');
    await main.getByText(/is not permitted\. Permitted/).waitFor({ state: 'detached' });
    assert.match(page.url(), /#\/issue/);
  });
  await inTab(Tab.open(browser, server, 'rules'), async ({ main, page }) => {
    await main.getByRole('button', { name: 'Remove all rules…' }).click();
    await inDialog(page, 'Remove').click();
    await main.getByText('Removed all rules.').waitFor();
  });
  assert.deepEqual(await server.get(path), {});
});

test('a CA is prepared, activated and retired', async () => {
  await server.issue('makes-the-first-ca');
  const states = async () => {
    const all = await server.get<{ name: string; state: string }[]>(
      `${server.account}/managed_authorities`,
    );
    return Object.fromEntries(all.map(({ name, state }) => [name, state]));
  };
  const [first = ''] = Object.keys(await states());
  await inTab(Tab.open(browser, server, 'cas'), async ({ main, page }) => {
    const card = (name: string) => main.getByRole('article', { name });
    await main.getByRole('button', { name: 'Prepare a new CA…' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('Devices 2027');
    await inDialog(page, 'Prepare').click();
    await card('Devices 2027').getByText(/Prepared$/).waitFor();
    await card('Devices 2027').getByRole('button', { name: 'Activate…' }).click();
    await inDialog(page, 'Activate').click();
    await main.getByText(/“\u2068?Devices 2027\u2069?” signs new certificates/).waitFor();
    assert.deepEqual(await states(), { 'Devices 2027': 'active', [first]: 'superseded' });
    await card(first).getByRole('button', { name: 'Retire…' }).click();
    // Its certificate is valid: the server refuses at first.
    await inDialog(page, 'Retire').click();
    await page.getByRole('dialog').getByRole('alert').getByText(/Error \d+/).waitFor();
    await page.getByRole('dialog').getByLabel(/Retire it even if/).check();
    await inDialog(page, 'Retire').click();
    await main.getByText(/^Retired “/).waitFor();
    assert.deepEqual(await states(), { 'Devices 2027': 'active', [first]: 'retired' });
    const bundle = await saved(page, main.getByRole('button', { name: 'Save the CA bundle' }));
    assert.equal(bundle.match(/BEGIN CERTIFICATE/g)?.length, 1);
  });
});

test('hostnames are added and removed', async () => {
  const path = `${server.zone}/certificate_authorities/hostname_associations`;
  const names = async () => (await server.get<{ hostnames: string[] }>(path)).hostnames;
  await inTab(Tab.open(browser, server, 'hostnames'), async ({ main, page }) => {
    await main.getByLabel('Add hostnames').fill('api.example.com, vpn.example.com');
    await main.getByRole('button', { name: 'Add', exact: true }).click();
    const remove = main.getByRole('button', { name: 'Remove vpn.example.com' });
    await remove.waitFor();
    assert.deepEqual((await names()).toSorted(), ['api.example.com', 'vpn.example.com']);
    await main.getByLabel('Add hostnames').fill('api.elsewhere.example');
    await main.getByRole('button', { name: 'Add', exact: true }).click();
    await main.getByRole('alert').getByText(/Error \d+/).waitFor();
    await remove.click();
    await inDialog(page, 'Remove').click();
    await remove.waitFor({ state: 'detached' });
    assert.deepEqual(await names(), ['api.example.com']);
  });
});

test('an enforcement point is registered and deleted', async () => {
  const path = `${server.account}/enforcement_points`;
  const names = async () => (await server.get<{ name: string }[]>(path)).map(({ name }) => name);
  await inTab(Tab.open(browser, server, 'enforcement-points'), async ({ main, page }) => {
    await main.getByRole('button', { name: 'Register one…' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('edge-1');
    await inDialog(page, 'Register').click();
    await main.getByText(done('Registered', 'edge-1')).waitFor();
    assert.deepEqual(await names(), ['edge-1']);
    const row = main.getByRole('row', { name: /edge-1/ });
    await row.getByRole('button', { name: 'Delete…' }).click();
    await inDialog(page, 'Delete').click();
    await main.getByText(done('Deleted', 'edge-1')).waitFor();
    assert.deepEqual(await names(), []);
  });
});

test('a zone is created, chosen and deleted', async () => {
  await inTab(Tab.open(browser, server, 'zones'), async ({ main, page }) => {
    await main.getByRole('button', { name: 'Create a zone…' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('second.example');
    await inDialog(page, 'Create').click();
    await main.getByText('Created the zone second.example').waitFor();
    await page.getByRole('combobox', { name: 'Zone' }).selectOption('second.example');
    await page.waitForURL(/zone=/);
    const row = main.getByRole('row', { name: /second\.example/ });
    await row.getByRole('button', { name: 'Delete…' }).click();
    const dialog = page.getByRole('dialog');
    assert(await inDialog(page, 'Delete the zone').isDisabled());
    await dialog.getByLabel('Type second.example to confirm').fill('second.example');
    await inDialog(page, 'Delete the zone').click();
    // The page goes on in the zone that is left.
    await row.waitFor({ state: 'detached' });
    await main.getByRole('row', { name: /example\.com/ }).waitFor();
  });
  const zones = await server.get<{ name: string }[]>('/client/v4/zones');
  assert.deepEqual(zones.map(({ name }) => name), ['example.com']);
});

test('a token is created, shown once, replaced and deleted', async () => {
  await inTab(Tab.open(browser, server, 'tokens/new?role=operator'), async ({ main, page }) => {
    await main.getByLabel('Name', { exact: true }).fill('night shift');
    await main.getByRole('button', { name: 'Create token' }).click();
    const value = (await main.locator('pre.secret').innerText()).trim();
    const created = new Api(server.base, value);
    const list = `${server.zone}/client_certificates`;
    assert.deepEqual(await created.get<Certificate[]>(list), await server.get(list));
    assert(!(await created.send('GET', '/client/v4/user/tokens')).success);
    const save = main.getByRole('button', { name: 'Save as a file' });
    assert.equal((await saved(page, save)).trim(), value);
    await main.getByRole('link', { name: 'All tokens' }).click();
    await main.getByRole('link', { name: 'night shift' }).click();
    await page.getByRole('heading', { level: 1, name: 'night shift' }).waitFor();
    assert(!(await main.innerText()).includes(value), 'its value is not shown again');
    await main.getByRole('button', { name: 'New value…' }).click();
    await inDialog(page, 'Replace').click();
    const next = (await main.locator('pre.secret').innerText()).trim();
    assert.notEqual(next, value);
    const verify = '/client/v4/user/tokens/verify';
    assert(!(await created.send('GET', verify)).success);
    await saved(page, save);
    await main.getByRole('button', { name: 'Delete…' }).click();
    await inDialog(page, 'Delete').click();
    await page.getByText(done('Deleted the token', 'night shift')).waitFor();
    assert(!(await new Api(server.base, next).send('GET', verify)).success);
  });
});

test('the browser verifies the whole audit log', async () => {
  await inTab(Tab.open(browser, server, 'audit'), async ({ main }) => {
    await main.getByText(/All .* entries on this page are intact/).waitFor();
    await main.getByRole('button', { name: 'Check the whole log' }).click();
    await main.getByText(/entries: all are intact/).waitFor();
  });
});

test('a changed entry of the audit log is found', async () => {
  await server.issue('in-the-log');
  await inTab(Tab.blank(browser, server), async (tab) => {
    const { main, page } = tab;
    // An attacker between the database and the browser changes one address.
    await page.route(/logs\/audit/, async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace('127.0.0.1', '127.0.0.2');
      await route.fulfill({ response, body });
    });
    await page.goto(`${server.console}#/audit`);
    await tab.signIn();
    await main.getByText(/^These entries were changed/).waitFor();
  });
});

test('a token that may only read sees each page without its actions', async () => {
  const all = ['SSL and Certificates Read', 'Zone Read', 'Account Settings Read'];
  const more = ['Enforcement Points Read', 'API Tokens Read', 'Account API Tokens Read'];
  await asReader('cas', [...all, ...more, 'User Details Read'], async (tab) => {
    const { main } = tab;
    for (const [path, action, reason] of [
      ['cas', 'Prepare a new CA…', 'needs the permission Account Settings Write'],
      ['hostnames', 'Add', 'needs the permission SSL and Certificates Write'],
      ['enforcement-points', 'Register one…', 'needs the permission Enforcement Points Write'],
      ['rules', 'Save the rules', 'needs the permission Zone Write'],
      ['tokens', 'Create token', 'your token needs'],
    ] as const) {
      await tab.go(path);
      await main.getByText(reason).first().waitFor();
      const button = main.getByRole('button', { name: action, exact: true });
      assert.equal(await button.count(), 0, `${path} has no ${action}`);
    }
  });
});
