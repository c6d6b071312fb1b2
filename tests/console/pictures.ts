// Takes a picture of each page in both themes: `cargo xtask console pictures`.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { launch, Tab } from './browser.js';
import { shrink } from './png.js';
import { type Certificate, Server } from './server.js';

/** The folder of the pictures. */
const folder = process.env['CERTGATE_PICTURES'];
/** The time of the pictures, in Unix seconds. The data ends then. */
const now = Number(process.env['CERTGATE_TEST_NOW']);
if (!folder || !now) throw new Error('run this with: cargo xtask console pictures');

/** The server does a few things after its start, which are not in the future of the pictures. */
const DELAY_SECONDS = 120;

const VIEWPORT = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };

const server = await Server.withEstate();
const browser = await launch();
try {
  // Two gateways that have everything.
  for (const name of ['gateway-berlin', 'gateway-lisbon']) {
    const path = `${server.account}/enforcement_points`;
    const body = { name, lease_seconds: 3600, covers: ['connections', 'requests'] };
    const { id } = await server.result<{ id: string }>('POST', path, body);
    const { epoch } = await server.get<{ epoch: number }>(`${server.account}/enforcement`);
    await server.result('PUT', `${path}/${id}/acknowledgement`, { epoch });
  }
  // An invite that waits for its holder, and one that does not any more.
  const invites = `/certgate/v1/zones/${server.installation.zone_id}/invites`;
  await server.result('POST', invites, { name: 'kiosk-3', device: 'linux', uses: 3 });
  const lost = { name: 'anna', device: 'iphone', lifetime: '90d' };
  const { id: withdrawn } = await server.result<{ id: string }>('POST', invites, lost);
  await server.result('DELETE', `${invites}/${withdrawn}`);
  mkdirSync(folder, { recursive: true });
  for (const file of readdirSync(folder)) {
    if (file.endsWith('.png')) rmSync(join(folder, file));
  }
  const pages = await addresses();
  for (const colorScheme of ['light', 'dark'] as const) {
    const tab = await opened({ colorScheme, viewport: VIEWPORT });
    await take(tab, `sign-in-${colorScheme}`);
    await tab.signIn();
    for (const [name, path] of pages) {
      await tab.go(path);
      await take(tab, `${name}-${colorScheme}`);
    }
    await tab.close();
  }
  const phone = await opened({ colorScheme: 'light', viewport: PHONE });
  await phone.signIn();
  for (const [name, path] of pages) {
    await phone.go(path);
    await take(phone, `${name}-phone`);
  }
  await phone.close();
} finally {
  await browser.close();
  await server.stop();
}

async function opened(options: object): Promise<Tab> {
  const tab = await Tab.blank(browser, server, { reducedMotion: 'reduce', ...options });
  await tab.page.clock.setFixedTime((now + DELAY_SECONDS) * 1000);
  await tab.page.goto(server.console);
  await tab.page.getByLabel('API token').waitFor();
  return tab;
}

/** The names of the pages with their addresses, without `#/`. */
async function addresses(): Promise<[string, string][]> {
  const list = `${server.zone}/client_certificates?status=revoked&per_page=5`;
  const [certificate] = await server.get<Certificate[]>(list);
  const tab = await opened({ viewport: VIEWPORT });
  await tab.signIn();
  const links = tab.page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
  const found: [string, string][] = [];
  for (const link of await links.all()) {
    const path = ((await link.getAttribute('href')) ?? '').replace(/^#\//, '');
    found.push([path.split('?')[0] ?? '', path]);
  }
  await tab.close();
  return [...found, ['certificate', `certificates/${certificate?.id}`]];
}

async function take(tab: Tab, name: string): Promise<void> {
  const png = await tab.page.screenshot({ animations: 'disabled', caret: 'hide' });
  writeFileSync(join(folder as string, `${name}.png`), shrink(png));
}
