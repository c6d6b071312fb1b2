// Issuing, CAs, hostnames, enforcement points, zones, rules, tokens and the audit log.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import type { Browser, Download, Page } from 'playwright-core';

import { inTab, launch, Tab } from './browser.js';
import { Api, type Certificate, makeCsr, Server } from './server.js';

let server: Server;
let browser: Browser;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'certgate-administration-'));
  [server, browser] = await Promise.all([Server.start(), launch()]);
  openssl([
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'root.key',
    '-out',
    'root.crt',
    '-subj',
    '/CN=Root',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  ]);
  // The account has an active CA from its first certificate on.
  await server.issue('first');
});
after(async () => {
  await browser.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

const open = (path: string) => Tab.open(browser, server, path);

/** Presses a button, and returns the content of the file that the browser saves. */
async function saved(page: Page, button: string | RegExp): Promise<string> {
  const [download] = await Promise.all([
    page.waitForEvent('download') as Promise<Download>,
    page.getByRole('button', { name: button }).first().click(),
  ]);
  return readFileSync(await download.path(), 'utf8');
}

const openssl = (words: string[], input?: string): string =>
  execFileSync('openssl', words, { input, encoding: 'utf8', stdio: 'pipe', cwd: folder });

const publicKey = (certificate: string) => openssl(['x509', '-noout', '-pubkey'], certificate);

const dialog = (page: Page) => page.getByRole('dialog');

/** The page without the frame, whose live region repeats some of its words. */
const main = (page: Page) => page.locator('#page');

/** Creates a token of the user with these permissions on everything. */
async function createToken(
  names: readonly string[],
  rules = {},
): Promise<{ id: string; value: string }> {
  const path = '/client/v4/user/tokens';
  const [groups, user] = await Promise.all([
    server.get<{ id: string; name: string; scopes: string[] }[]>(`${path}/permission_groups`),
    server.get<{ id: string }>('/client/v4/user'),
  ]);
  const policies = groups
    .filter(({ name }) => names.includes(name))
    .map(({ id, scopes: [scope = ''] }) => ({
      effect: 'allow',
      permission_groups: [{ id }],
      resources: { [`${scope}.${scope.endsWith('.user') ? user.id : '*'}`]: '*' },
    }));
  assert.equal(policies.length, names.length);
  return server.result('POST', path, { name: 'of a test', policies, issuance_rules: rules });
}

/** Presses a button of the dialog, and waits until the dialog closes. */
async function accept(page: Page, button: string): Promise<void> {
  await dialog(page).getByRole('button', { name: button, exact: true }).click();
  await dialog(page).waitFor({ state: 'detached' });
}

test('a key of the browser stays there, and belongs to the certificate', async () => {
  await inTab(open('issue'), async (tab) => {
    const { page } = tab;
    await page.getByLabel('Create the key and the request in this browser').check();
    await page.getByLabel('Common name').fill('laptop-17');
    await page.getByRole('button', { name: '30 days' }).click();
    await page.getByRole('button', { name: 'Create the key and issue' }).click();
    await main(page).getByText('Save the private key now').waitFor();

    await tab.page.getByRole('link', { name: 'CAs' }).click();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();

    const key = await saved(page, 'Save private key');
    const certificate = await saved(page, 'Save certificate');
    assert.match(key, /^-----BEGIN PRIVATE KEY-----\n/);
    assert.equal(openssl(['pkey', '-pubout'], key), publicKey(certificate));
    const chain = await saved(page, 'Save with CA certificate');
    assert.equal(chain.match(/BEGIN CERTIFICATE/g)?.length, 2);
    const sent = tab.requests.map((request) => request.postData() ?? '').join('');
    assert(!sent.includes('PRIVATE KEY') && !sent.includes(key.split('\n')[1] ?? ''));
    await tab.page.getByRole('link', { name: 'CAs' }).click();
    await page.getByRole('heading', { level: 1, name: 'CAs' }).waitFor();
  });
});

test('a request is checked before it is sent', async () => {
  const csr = makeCsr('tablet-9');
  const key = openssl(['genpkey', '-algorithm', 'ED25519']);
  await inTab(open('issue'), async (tab) => {
    const { page } = tab;
    const field = page.getByLabel('Certificate signing request', { exact: true });
    const action = page.getByRole('button', { name: 'Issue', exact: true });
    await field.fill(key);
    await main(page).getByText('This is a private key. It was not sent.').waitFor();
    assert(await action.isDisabled());
    await field.fill(
      csr.replace(/(.)\n-----END/, (_, last) => `${last === 'A' ? 'B' : 'A'}\n-----END`),
    );
    await main(page)
      .getByText(/does not match the key|is malformed|not Base64|Data follows/)
      .waitFor();
    assert(await action.isDisabled());
    await field.fill(csr);
    await main(page).getByText('Made with this key').waitFor();
    await page.getByRole('definition').filter({ hasText: 'tablet-9' }).waitFor();
    const path = join(folder, 'device.csr');
    writeFileSync(path, csr);
    await field.fill('');
    await page.getByLabel('Choose a file…').setInputFiles(path);
    await main(page).getByText('Made with this key').waitFor();
    await action.click();
    await main(page).getByText('Issued. The certificate is valid now.').waitFor();
    const bodies = tab.requests.map((request) => request.postData() ?? '');
    assert.equal(bodies.filter((body) => body.includes('csr')).length, 1, 'one request was sent');
    assert(!bodies.join('').includes('PRIVATE'));
  });
});

test('a request that is dropped on the field is read', async () => {
  await inTab(open('issue'), async ({ page }) => {
    const field = page.getByLabel('Certificate signing request', { exact: true });
    const data = await page.evaluateHandle((csr) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([csr], 'device.csr'));
      return transfer;
    }, makeCsr('dropped'));
    await field.dispatchEvent('dragover', { dataTransfer: data });
    await field.dispatchEvent('drop', { dataTransfer: data });
    await main(page).getByText('Made with this key').waitFor();
    await main(page).getByText('dropped', { exact: true }).waitFor();
  });
});

test('an issue whose answer is lost is repeated without a second certificate', async () => {
  await inTab(open('issue'), async ({ page }) => {
    let answers = 0;
    await page.route('**/client_certificates', async (route) => {
      answers += 1;
      if (answers > 1) return route.continue();
      await route.fetch();
      return route.abort('connectionreset');
    });
    await page.getByLabel('Certificate signing request', { exact: true }).fill(makeCsr('once'));
    await page.getByRole('button', { name: 'Issue', exact: true }).click();
    await main(page).getByText('Issued. The certificate is valid now.').waitFor();
    assert.equal(answers, 2);
  });
  const path = `${server.zone}/client_certificates?common_name=once`;
  assert.equal((await server.get<Certificate[]>(path)).length, 1);
});

test('rules of a zone are set, and named while a person types', async () => {
  const path = `/certgate/v1/zones/${server.installation.zone_id}/issuance_rules`;
  await inTab(open('rules'), async (tab) => {
    const { page } = tab;
    await page.getByLabel('Permitted common names').fill('build-*\nlaptop-*');
    await page.getByLabel('Longest lifetime').fill('30x');
    await main(page).getByText('Use a time of at least an hour').waitFor();
    assert(await page.getByRole('button', { name: 'Save the rules' }).isDisabled());
    await page.getByLabel('Longest lifetime').fill('90d');
    await page.getByLabel('P-256').check();
    await page.getByRole('button', { name: 'Save the rules' }).click();
    await main(page).getByText('Saved. The rules hold').waitFor();
    assert.deepEqual(await server.get(path), {
      common_names: ['build-*', 'laptop-*'],
      key_types: ['P-256'],
      max_lifetime: 90 * 86_400,
    });

    await tab.go('issue?with=key');
    await page.getByLabel('Common name', { exact: true }).fill('tablet-1');
    await main(page)
      .getByText(/The common name .*tablet-1.* is not permitted/)
      .waitFor();
    await main(page)
      .getByText(/365.* days are too long/)
      .waitFor();
    await page.getByRole('button', { name: 'Create the key and issue' }).click();
    await main(page).getByText('Error 1540').waitFor();
    await page.getByLabel('Common name', { exact: true }).fill('laptop-1');
    await page.getByRole('button', { name: '90 days' }).click();
    await main(page)
      .getByText('The server will refuse this request')
      .waitFor({ state: 'detached' });

    await tab.go('rules');
    await page.getByRole('button', { name: 'Remove all rules…' }).click();
    await accept(page, 'Remove');
    await main(page).getByText('Removed all rules.').waitFor();
  });
  assert.deepEqual(await server.get(path), {});
});

test('the rules of a token are shown before a person types, and named while they do', async () => {
  const { value: token } = await createToken(['Client Certificates Issue', 'Zone Read'], {
    common_names: ['build-*'],
    max_lifetime: '30d',
  });
  await inTab(Tab.open(browser, server, 'issue?with=key', { token }), async ({ page }) => {
    const rules = page.getByRole('region', { name: 'Issuance rules of your token' });
    await rules.getByText('Lifetime: at most 30d').waitFor();
    assert.match(await rules.innerText(), /Common name: .*build-\*/);
    await page.getByLabel('Common name', { exact: true }).fill('laptop-1');
    await main(page)
      .getByText(/laptop-1.* is not permitted.*\(a rule of your token\)/)
      .waitFor();
    // A narrow window has them above the form, a wide one beside it.
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      const [panel, form] = await Promise.all([
        rules.boundingBox(),
        page.locator('#page form').boundingBox(),
      ]);
      assert(panel && form);
      const isAbove = panel.y + panel.height <= form.y;
      assert.equal(isAbove, width === 360);
      assert.equal(panel.x >= form.x + form.width, width === 1280);
    }
  });
});

test('rules of enrolment are set, and survive a change of another rule', async () => {
  const path = `/certgate/v1/zones/${server.installation.zone_id}/issuance_rules`;
  await inTab(open('rules'), async ({ page }) => {
    const save = async () => {
      await page.getByRole('button', { name: 'Save the rules' }).click();
      await main(page).getByText('Saved. The rules hold').waitFor();
    };
    await page.getByText('Renewals and clients without a token').click();
    await page.getByLabel('Lifetime of their certificates').fill('8h');
    await page.getByLabel('Revoke a replaced certificate after').fill('1d');
    await save();
    await page.getByLabel('Permitted common names').fill('build-*');
    await save();
    const enrolment = { lifetime: 28_800, revoke_replaced_after: 86_400 };
    assert.deepEqual(await server.get(path), { common_names: ['build-*'], enrolment });
    await main(page).getByText('Renewed over EST: for 8h').waitFor();
  });
  await server.result('PUT', path, {});
});

interface Ca {
  id: string;
  name: string;
  state: string;
  certificate: string;
}

const cas = () => server.get<Ca[]>(`${server.account}/managed_authorities`);

test('a CA is replaced, and a late enforcement point is waited for', async () => {
  const points = `${server.account}/enforcement_points`;
  const point = await server.result<{ id: string }>('POST', points, { name: 'edge-1' });
  await inTab(open('cas'), async ({ page }) => {
    await page.getByRole('button', { name: 'Prepare a new CA…' }).click();
    await dialog(page).getByLabel('Name', { exact: true }).fill('Devices 2027');
    await accept(page, 'Prepare');
    const card = page.getByRole('article', { name: 'Devices 2027' });
    await card.getByText('Prepared').waitFor();
    assert.equal((await saved(page, 'Save the CA bundle')).match(/BEGIN/g)?.length, 2);

    await card.getByRole('button', { name: 'Activate…' }).click();
    await dialog(page).getByText('Not yet').waitFor();
    const action = dialog(page).getByRole('button', { name: 'Activate', exact: true });
    assert(await action.isDisabled());
    // The point confirms while the dialog is open.
    await server.result('PUT', `${points}/${point.id}/acknowledgement`, { epoch: await epoch() });
    await dialog(page).getByText('Has this CA').waitFor();
    await accept(page, 'Activate');
    await card.getByText(/Active$/).waitFor();

    const [old] = (await cas()).filter(({ state }) => state === 'superseded');
    const former = page.getByRole('article', { name: old?.name ?? '' });
    await former.getByRole('button', { name: 'Retire…' }).click();
    await dialog(page).getByRole('button', { name: 'Retire', exact: true }).click();
    // Certificates of it are valid.
    await dialog(page).getByText('Error 1553').waitFor();
    await dialog(page).getByLabel('Retire it even if').check();
    await accept(page, 'Retire');
    await main(page).getByText('1 retired CA').waitFor();
  });
  assert.deepEqual((await cas()).map(({ state }) => state).toSorted(), ['active', 'retired']);
  await server.result('DELETE', `${points}/${point.id}`);
});

const epoch = async () =>
  (await server.get<{ epoch: number }>(`${server.account}/enforcement`)).epoch;

test('the active CA is replaced in two steps, of which the second can wait', async () => {
  await inTab(open('cas'), async ({ page }) => {
    await page.getByRole('button', { name: 'Replace the active CA…' }).click();
    await dialog(page).getByLabel('Name', { exact: true }).fill('Devices 2028');
    await dialog(page).getByRole('button', { name: 'Prepare', exact: true }).click();
    await page.getByRole('heading', { name: /^Sign with .*Devices 2028/ }).waitFor();
    await dialog(page).getByText('No enforcement points are registered.').waitFor();
    await accept(page, 'Cancel');
    const card = page.getByRole('article', { name: 'Devices 2028' });
    await card.getByText('Prepared').waitFor();
    await card.getByRole('button', { name: 'Activate…' }).click();
    await accept(page, 'Activate');
    await card.getByText(/Active$/).waitFor();
  });
});

test('an offline root signs a CA', async () => {
  await inTab(open('cas'), async ({ page }) => {
    await page.getByRole('button', { name: 'Request for an offline root…' }).click();
    await dialog(page).getByLabel('Name', { exact: true }).fill('Issuing 7');
    await accept(page, 'Create key and request');
    writeFileSync(join(folder, 'ca.csr'), await saved(page, 'Save request'));
    openssl([
      'x509',
      '-req',
      '-in',
      'ca.csr',
      '-CA',
      'root.crt',
      '-CAkey',
      'root.key',
      '-CAcreateserial',
      '-days',
      '900',
      '-copy_extensions',
      'copy',
      '-out',
      'ca.crt',
    ]);
    await page.getByRole('button', { name: 'Import its certificate…' }).click();
    await dialog(page).getByLabel('Choose a file…').setInputFiles(join(folder, 'root.crt'));
    await dialog(page).getByRole('button', { name: 'Import', exact: true }).click();
    await dialog(page).getByText('Error 1554').waitFor();
    await dialog(page).getByLabel('Choose a file…').setInputFiles(join(folder, 'ca.crt'));
    await accept(page, 'Import');
    await page.getByRole('article', { name: 'Issuing 7' }).getByText('Prepared').waitFor();
    await page.getByRole('button', { name: 'Request for an offline root…' }).click();
    await accept(page, 'Create key and request');
    await page.getByRole('button', { name: 'Delete…' }).first().click();
    await accept(page, 'Delete');
    await page.getByRole('heading', { name: 'Requests that wait' }).waitFor({ state: 'detached' });
  });
});

test('certificates of an imported CA are adopted, others are rejected', async () => {
  const names = ['old-1', 'old-2'];
  openssl([
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'own.key',
    '-out',
    'own.crt',
    '-subj',
    '/CN=Own CA',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  ]);
  const issued = names.map((name) => {
    writeFileSync(join(folder, `${name}.csr`), makeCsr(name));
    writeFileSync(join(folder, 'client.cnf'), 'extendedKeyUsage=clientAuth\n');
    return openssl([
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'own.crt',
      '-CAkey',
      'own.key',
      '-CAcreateserial',
      '-days',
      '90',
      '-extfile',
      'client.cnf',
    ]);
  });
  await inTab(open('cas'), async (tab) => {
    const { page } = tab;
    await page.getByRole('button', { name: 'Import a CA…' }).click();
    await dialog(page).getByLabel('Choose a file…').nth(0).setInputFiles(join(folder, 'own.crt'));
    await dialog(page).getByLabel('Choose a file…').nth(1).setInputFiles(join(folder, 'own.key'));
    await accept(page, 'Import');
    const card = page.getByRole('article', { name: 'Own CA' });
    await card.getByText('Prepared').waitFor();
    await card.getByText('Details').click();
    await card
      .getByText(/Published/)
      .last()
      .waitFor();
    await page.getByRole('button', { name: 'Adopt certificates…' }).click();
    const field = dialog(page).getByLabel('Certificates in PEM');
    await field.fill([...issued, readFileSync(join(folder, 'root.crt'), 'utf8')].join(''));
    await dialog(page).getByText('3 certificates.').waitFor();
    await dialog(page).getByRole('button', { name: 'Adopt', exact: true }).click();
    await page.getByRole('heading', { name: '1 certificate was not adopted' }).waitFor();
    await accept(page, 'Close');
    await main(page).getByText('Adopted 2 certificates.').waitFor();
  });
  const path = `${server.zone}/client_certificates?common_name=old-1`;
  assert.equal((await server.get<Certificate[]>(path)).length, 1);
});

test('hostnames of an uploaded CA are added, refused and removed', async () => {
  const root = readFileSync(join(folder, 'root.crt'), 'utf8');
  await inTab(open('cas'), async (tab) => {
    const { page } = tab;
    await page.getByRole('button', { name: 'Upload…' }).click();
    await dialog(page).getByLabel('Certificate', { exact: true }).fill(root);
    await dialog(page).getByLabel('Name', { exact: true }).fill('Partner');
    await accept(page, 'Upload');
    await main(page).getByText('Choose its hostnames').waitFor();

    await tab.go('hostnames');
    const partner = page.getByRole('region', { name: 'Partner' });
    await partner.getByLabel('Add hostnames').fill('api.example.com, www.example.com');
    await partner.getByRole('button', { name: 'Add', exact: true }).click();
    await partner.getByText('www.example.com').first().waitFor();
    await partner.getByLabel('Add hostnames').fill('api.example.net');
    await partner.getByRole('button', { name: 'Add', exact: true }).click();
    await partner.getByText(/Error 1\d+/).waitFor();
    const accepts = page.getByRole('row', { name: 'api.example.com' });
    await accepts.getByText('Partner').waitFor();
    assert.equal(await saved(page, 'Save the CAs of api.example.com'), root);
    await partner.getByRole('button', { name: 'Remove www.example.com' }).click();
    await accept(page, 'Remove');
    await partner
      .getByRole('button', { name: 'Remove www.example.com' })
      .waitFor({ state: 'detached' });

    await tab.go('cas');
    const row = page.getByRole('row', { name: 'Partner' });
    await row.getByText('Details').click();
    await row.getByRole('link', { name: '1 hostname of this zone' }).waitFor();
    await row.getByText('api.example.com').waitFor();
    await row.getByRole('button', { name: 'Delete…' }).click();
    await dialog(page).getByRole('button', { name: 'Delete', exact: true }).click();
    await dialog(page)
      .getByText(/Error 14\d+/)
      .waitFor();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
  });
});

test('an enforcement point is registered, and deleted', async () => {
  await inTab(open('enforcement-points'), async ({ page }) => {
    await page.getByRole('button', { name: 'Register one…' }).click();
    await dialog(page).getByLabel('Name', { exact: true }).fill('edge-2');
    await dialog(page).getByLabel('Lease, in seconds').fill('1');
    await dialog(page).getByLabel('open connections').check();
    await dialog(page).getByRole('button', { name: 'Register', exact: true }).click();
    // The browser's own check of the smallest lease keeps the dialog open.
    await dialog(page).getByLabel('Lease, in seconds').fill('60');
    await accept(page, 'Register');
    const row = page.getByRole('row', { name: 'edge-2' });
    await row.getByText('Lagging').waitFor();
    await row.getByText('open connections').waitFor();
    await row.getByRole('button', { name: 'Delete…' }).click();
    await accept(page, 'Delete');
    await main(page).getByText('No enforcement points').waitFor();
  });
});

test('a zone is created, chosen and deleted', async () => {
  await inTab(open('zones'), async ({ page }) => {
    await page.getByRole('button', { name: 'Create a zone…' }).click();
    await dialog(page).getByLabel('Name', { exact: true }).fill('co.uk');
    await dialog(page).getByRole('button', { name: 'Create', exact: true }).click();
    await dialog(page)
      .getByText(/Error \d+/)
      .waitFor();
    await dialog(page).getByLabel('Name', { exact: true }).fill('example.org');
    await accept(page, 'Create');
    await page.getByRole('combobox', { name: /^Zone/ }).selectOption('example.org');
    await page
      .getByRole('row', { name: 'example.com' })
      .getByRole('button', { name: 'Delete…' })
      .click();
    await dialog(page).getByLabel('Type example.com').fill('example.com');
    await dialog(page).getByRole('button', { name: 'Delete the zone' }).click();
    await dialog(page)
      .getByText(/Error \d+/)
      .waitFor();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
    await page
      .getByRole('row', { name: 'example.org' })
      .getByRole('button', { name: 'Delete…' })
      .click();
    assert(await dialog(page).getByRole('button', { name: 'Delete the zone' }).isDisabled());
    await dialog(page).getByLabel('Type example.org').fill('example.org');
    await accept(page, 'Delete the zone');
    await page.getByRole('row', { name: 'example.org' }).waitFor({ state: 'detached' });
  });
});

test('an account is created, renamed and deleted', async () => {
  const account = `/client/v4/accounts/${server.installation.account_id}`;
  await inTab(open('accounts'), async ({ page }) => {
    const row = (name: string) => page.getByRole('row', { name });
    await page.getByRole('button', { name: 'Create an account…' }).click();
    await dialog(page).getByLabel('Name', { exact: true }).fill('Branch');
    await dialog(page).getByLabel('Key of the first CA').selectOption('P-384');
    await accept(page, 'Create');
    await row('Branch').getByText('P-384').waitFor();
    await row('Branch').getByRole('button', { name: 'Rename…' }).click();
    await dialog(page).getByLabel('Name', { exact: true }).fill('Office');
    await accept(page, 'Save');
    await row('Office').getByRole('button', { name: 'Delete…' }).click();
    await dialog(page).getByLabel(/^Type .*Office/).fill('Office');
    await accept(page, 'Delete the account');
    await row('Office').waitFor({ state: 'detached' });
    // The account of the zone has zones: the server refuses it in words.
    const { name } = await server.get<{ name: string }>(account);
    await row('Account of the chosen zone').getByRole('button', { name: 'Delete…' }).click();
    await dialog(page).getByLabel(/^Type /).fill(name);
    await dialog(page).getByRole('button', { name: 'Delete the account' }).click();
    await dialog(page)
      .getByText(/Error \d+/)
      .waitFor();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
  });
});

test('the details of the user are changed, and removed', async () => {
  await inTab(open('accounts'), async ({ page }) => {
    const user = page.getByRole('region', { name: 'User', exact: true });
    const change = async (first: string) => {
      await user.getByRole('button', { name: 'Change…' }).click();
      await dialog(page).getByLabel('First name').fill(first);
      await accept(page, 'Save');
    };
    await change('Ada');
    await user.getByText('Ada').waitFor();
    await change('');
    await user.getByText('Ada').waitFor({ state: 'detached' });
  });
  const user = await server.get<{ first_name: string | null }>('/client/v4/user');
  assert.equal(user.first_name, null);
});

test('a token is created with a role and rules, and its value is shown once', async () => {
  let value = '';
  await inTab(open('tokens'), async ({ page }) => {
    await page.getByRole('link', { name: 'Create token' }).click();
    await page.getByLabel('Name', { exact: true }).fill('ci');
    await page.getByLabel('Issuer').check();
    await page.getByLabel('Some zones').check();
    assert(await page.getByRole('button', { name: 'Create token' }).isDisabled());
    await page.getByRole('checkbox', { name: 'example.com' }).check();
    await main(page).getByText('Limit what it may issue').click();
    await page.getByLabel('Permitted common names').fill('build-*');
    await page.getByRole('button', { name: 'Create token' }).click();
    await main(page).getByText('Created the token').waitFor();
    value = (await page.getByLabel('Secret value').innerText()).trim();
    await page.getByRole('link', { name: 'All tokens' }).click();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await saved(page, 'Save as a file')).trim(), value);
    await page.getByRole('link', { name: 'All tokens' }).click();
    const row = page.getByRole('row', { name: 'ci' });
    await row.getByText('Issuer').waitFor();
    await row.getByText('example.com').waitFor();
    await row.getByText('in 2 months').waitFor();
  });
  const issuer = new Api(server.base, value);
  const attempt = async (name: string) => {
    const body = { csr: makeCsr(name), validity_days: 1 };
    const answer = await issuer.send('POST', `${server.zone}/client_certificates`, body);
    return answer.errors[0]?.code ?? 0;
  };
  assert.deepEqual([await attempt('build-1'), await attempt('laptop-1')], [0, 1540]);
});

test('a token is disabled, gets a new value, and is deleted', async () => {
  const { id, value } = await server.createToken(['Zone Read']);
  const works = async (token: string) =>
    (await new Api(server.base, token).send('GET', '/client/v4/user/tokens/verify')).success;
  await inTab(open(`tokens/${id}`), async ({ page }) => {
    await page.getByRole('heading', { level: 1, name: 'Zone Read' }).waitFor();
    await page.getByRole('button', { name: 'Change…' }).click();
    await dialog(page).getByLabel('The token works').uncheck();
    await dialog(page).getByLabel('Name', { exact: true }).fill('reader');
    await accept(page, 'Save');
    await main(page).getByText('Disabled').waitFor();
    assert(!(await works(value)));
    await page.getByRole('button', { name: 'Change…' }).click();
    await dialog(page).getByLabel('The token works').check();
    await accept(page, 'Save');
    await main(page)
      .getByText(/Active$/)
      .waitFor();
    assert(await works(value));

    await page.getByRole('button', { name: 'New value…' }).click();
    await accept(page, 'Replace');
    const rolled = (await page.getByLabel('Secret value').innerText()).trim();
    assert.deepEqual([await works(value), await works(rolled)], [false, true]);
    await saved(page, 'Save as a file');
    await page.getByRole('button', { name: 'Delete…' }).click();
    await accept(page, 'Delete');
    await page.getByRole('row', { name: 'reader' }).waitFor({ state: 'detached' });
    assert(!(await works(rolled)));
  });
});

test('the last token that can create tokens is deleted only with a confirmation', async () => {
  const alone = await Server.start();
  const verified = await alone.get<{ id: string }>('/client/v4/user/tokens/verify');
  try {
    await inTab(Tab.open(browser, alone, `tokens/${verified.id}`), async ({ page }) => {
      await main(page).getByText('You are signed in with this token.').waitFor();
      await page.getByRole('button', { name: 'Delete…' }).click();
      await dialog(page).getByRole('button', { name: 'Delete', exact: true }).click();
      await dialog(page).getByText('Error 1542').waitFor();
      assert(await dialog(page).getByRole('button', { name: 'Delete', exact: true }).isDisabled());
      await dialog(page).getByLabel('Do it although').check();
      await dialog(page).getByRole('button', { name: 'Delete', exact: true }).click();
      await page.getByRole('heading', { name: 'Sign in to certgate' }).waitFor();
    });
  } finally {
    await alone.stop();
  }
});

test('the page continues with the new value of its own token', async () => {
  const { id, value } = await createToken([
    'API Tokens Write',
    'Account Settings Read',
    'Zone Read',
  ]);
  const tab = await Tab.open(browser, server, `tokens/${id}`, { token: value });
  const { page } = tab;
  await page.getByRole('button', { name: 'New value…' }).click();
  await accept(page, 'Replace');
  await saved(page, 'Save as a file');
  await tab.go('cas');
  await page.getByRole('heading', { name: 'CAs that sign here' }).waitFor();
  assert.deepEqual(tab.complaints, []);
  await tab.context.close();
});

test('the browser verifies the audit log, and finds a changed entry', async () => {
  await server.issue('audited');
  await inTab(open('audit'), async (tab) => {
    const { page } = tab;
    await main(page)
      .getByText(/All \d+ entries on this page are intact/)
      .waitFor();
    await page.getByRole('button', { name: 'Check the whole log' }).click();
    await main(page)
      .getByText(/entries: all are intact/)
      .waitFor();
    const head =
      (await page.getByLabel('Head of the log').first().innerText()).split('\n')[0] ?? '';
    await page.getByLabel('A head that you stored').fill(head);
    await page.getByRole('button', { name: 'Check the whole log' }).click();
    await main(page).getByText('the log still has the entry that you stored').waitFor();
    await page
      .getByLabel('A head that you stored')
      .fill(head.replace(/.$/, (x) => (x === '0' ? '1' : '0')));
    await page.getByRole('button', { name: 'Check the whole log' }).click();
    await main(page).getByText('has another hash than the head that you stored').waitFor();

    await page.getByLabel('Certificate name or ID').fill('audited');
    await page.getByLabel('Certificate name or ID').press('Enter');
    await main(page)
      .getByText(/cannot be verified here, because the filters/)
      .waitFor();
    assert.match(tab.page.url(), /name=audited/);

    await page.route('**/logs/audit**', async (route) => {
      const response = await route.fetch();
      const text = (await response.text()).replaceAll('name=example.com', 'name=example.net');
      await route.fulfill({ response, body: text });
    });
    await tab.go('audit');
    await main(page).getByText('These entries were changed').waitFor();
    await page.getByLabel('A head that you stored').fill('');
    await page.getByRole('button', { name: 'Check the whole log' }).click();
    await main(page)
      .getByText(/Entry 2 was changed/)
      .waitFor();
  });
});

test('a token that may only read sees no button that changes something', async () => {
  const reads = [
    'Account API Tokens Read',
    'Account Settings Read',
    'Account: SSL and Certificates Read',
    'API Tokens Read',
    'Enforcement Points Read',
    'SSL and Certificates Read',
    'Zone Read',
  ];
  const { value: token } = await createToken(reads);
  await inTab(Tab.open(browser, server, 'cas', { token }), async (tab) => {
    const changing =
      /^(Prepare|Request|Import|Upload|Activate|Retire|Delete|Remove|Add|Register|Create|Save the r)/;
    for (const path of [
      'cas',
      'hostnames',
      'enforcement-points',
      'rules',
      'zones',
      'accounts',
      'tokens',
      'audit',
    ]) {
      await tab.go(path);
      const buttons = await tab.page.locator('#page button, #page a.button').allInnerTexts();
      assert.deepEqual(
        buttons.filter((name) => changing.test(name)),
        [],
        path,
      );
    }
    await tab.go('issue');
    await tab.page.getByText('it lacks the permission Client Certificates Issue').waitFor();
  });
});
