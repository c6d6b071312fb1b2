// Names that an attacker chose: on every page, in every field, they are text.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import type { Browser } from 'playwright-core';

import { inTab, launch, Tab } from './browser.js';
import { type Certificate, makeCsr, Server, type Subject } from './server.js';

/** Each would do something if it were markup, a formula, a control sequence or a direction. */
const TEXTS: Record<string, string> = {
  html: '<img src=x onerror="document.title=\'owned\'"><b id=owned>x</b>',
  script: '</script><script>document.title="owned"</script>',
  template: '${document.title="owned"}{{7*7}}',
  attribute: '" autofocus onfocus="document.title=\'owned\'" x="',
  url: 'javascript:document.title="owned"',
  // C1 controls: U+009B begins a control sequence, as ESC [ does. CSRs with ESC are refused.
  ansi: '\u009b31mred\u009b0m\u0085next',
  direction: 'invoice\u202egpj.exe\u202c \u2066x\u2069 \u200fy\u200e',
  invisible: 'lap\u200btop\u00ad-\ufeff17\u2060',
  emoji: '🧑🏽‍💻 device 🏴‍☠️ e\u0301\u0302\u0303',
  formula: '=HYPERLINK("http://evil.example","click")',
  formulaPlus: '+1+cmd|\' /C calc\'!A0',
  formulaAt: '@SUM(1+1)*cmd',
  formulaWide: '\uff1d1+1',
  formulaBlank: ' =1+1',
  quotes: 'a","b"\',\'c;d',
  long: `${'long-'.repeat(800)}end`,
};

/** Permissions that open every page. */
const ALL = [
  'SSL and Certificates Write',
  'Zone Write',
  'Account Settings Write',
  'Account: SSL and Certificates Write',
  'Enforcement Points Write',
  'Account API Tokens Read',
  'API Tokens Read',
  'User Details Read',
] as const;

/** Texts that names of tokens and enforcement points may have: at most 120 characters. */
const short = Object.values(TEXTS).filter((text) => text.length <= 100);

let server: Server;
let browser: Browser;
const certificates: Certificate[] = [];

before(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
  const attributes = [
    'organization',
    'organizational_unit',
    'country',
    'state',
    'location',
  ] as const satisfies (keyof Subject)[];
  for (const [name, text] of Object.entries(TEXTS)) {
    const subject: Subject = { common_name: text };
    for (const attribute of attributes) subject[attribute] = text;
    // The longest text six times is longer than a request may be.
    const csr = makeCsr(name === 'long' ? text : subject);
    const path = `${server.zone}/client_certificates`;
    certificates.push(await server.result('POST', path, { csr, validity_days: 30 }));
  }
  const zone = `/certgate/v1/zones/${server.installation.zone_id}`;
  const patterns = short.filter((name) => !/\p{Cc}/u.test(name));
  await server.result('PUT', `${zone}/issuance_rules`, { common_names: patterns });
  const account = `/client/v4/accounts/${server.installation.account_id}`;
  for (const name of short) {
    // Some places refuse some of them, for example control characters.
    await server.createToken(['Zone Read'], { name }).catch(() => {});
    await server.send('POST', `${server.account}/enforcement_points`, { name });
    const ca = { algorithm: 'P-256', name };
    await server.send('POST', `${server.account}/managed_authorities`, ca);
    await server.send('PUT', account, { name });
  }
});
after(async () => {
  await browser.close();
  await server.stop();
});

/** Characters that never arrive in the text of the page, because they change what is around. */
const RAW = /[\u0080-\u009f\u00ad\u200b\u200d-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/gu;

/** A text that the page itself isolates from the direction of the text around it. */
const ISOLATED = /\u2068([^\u2066-\u2069]*)\u2069/g;

/** The form in which the page shows a text, at most this many characters of it. */
const visible = (text: string, characters = 60): string => {
  const escaped = text.replace(RAW, (hidden) => {
    return `\\u{${hidden.codePointAt(0)?.toString(16).padStart(4, '0')}}`;
  });
  return [...escaped].slice(0, characters).join('').trim();
};

/** Nothing was carried out, and no character acts on the text around it. */
async function check({ page }: Tab, place: string): Promise<string> {
  assert.match(await page.title(), /certgate$/, place);
  const made = '#owned, img[src="x"], [onfocus], [onerror], a[href^="javascript:"]';
  assert.equal(await page.locator(made).count(), 0, place);
  const shown = (await page.locator('body').innerText()).replace(ISOLATED, '$1');
  assert(!/may not open this page|did not work|Page not found/.test(shown), shown);
  const at = shown.search(RAW);
  assert(at < 0, `${place}: ${JSON.stringify(shown.slice(Math.max(0, at - 20), at + 9))}`);
  const wide = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.equal(wide, 0, `${place} does not scroll sideways`);
  return shown;
}

for (const width of [360, 1280]) {
  test(`every page shows hostile names as text at ${width} pixels`, async () => {
    const viewport = { width, height: 800 };
    const name = TEXTS['html'] ?? '';
    const { value: token } = await server.createToken([...ALL], { name });
    await inTab(Tab.open(browser, server, 'overview', { viewport, token }), async (tab) => {
      const paths = await tab.page
        .locator('#navigation a')
        .evaluateAll((links) => links.map((link) => link.getAttribute('href') ?? ''));
      assert(paths.length > 8, String(paths));
      for (const path of paths) {
        await tab.go(path.slice(2));
        const shown = await check(tab, path);
        if (/certificates|cas|enforcement|tokens|rules/.test(path)) {
          assert(shown.includes('<img src=x onerror='), `${path} shows the name`);
        }
      }
    });
  });

  test(`the page of each hostile certificate shows it at ${width} pixels`, async () => {
    const viewport = { width, height: 800 };
    await inTab(Tab.open(browser, server, 'overview', { viewport }), async (tab) => {
      for (const { id, common_name: name } of certificates) {
        await tab.go(`certificates/${id}`);
        const shown = await check(tab, `certificate ${id}`);
        assert(shown.includes(visible(name)), `${visible(name)} is on its page`);
        await tab.page.getByRole('button', { name: 'Revoke…' }).click();
        const title = await tab.page.getByRole('dialog').getByRole('heading').first().innerText();
        assert(title.includes(visible(name, 20)), title);
        await check(tab, `revoke ${id}`);
        await tab.page.keyboard.press('Escape');
        await tab.page.getByRole('dialog').waitFor({ state: 'detached' });
      }
    });
  });
}

test('a search for a hostile name finds it', async () => {
  await inTab(Tab.open(browser, server, 'certificates'), async (tab) => {
    const { main, page } = tab;
    for (const { id, common_name: name } of certificates) {
      // Stars and quotation marks have a meaning in the search box. The longest name is too long.
      if (/^"|\*/.test(name) || name.length > 1000) continue;
      await page.getByRole('searchbox').fill(name);
      await main.locator(`tbody th a[href*="${id}"]`).waitFor();
      await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
      await check(tab, name);
      await page.getByRole('searchbox').fill('');
      await page.waitForFunction(() => document.querySelectorAll('tbody tr').length > 1);
    }
  });
});

test('no cell of an export is a formula, and each has its text', async () => {
  await inTab(Tab.open(browser, server, 'certificates'), async ({ page }) => {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export CSV' }).click(),
    ]);
    const [head = [], ...rows] = cells(await readFile(await download.path(), 'utf8'));
    assert.equal(rows.length, certificates.length);
    const column = head.indexOf('common_name');
    // An apostrophe before a sign makes it text.
    const unguarded = (cell: string) => cell.replace(/'(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g, '');
    const names = rows.map((row) => unguarded(row[column] ?? ''));
    for (const cell of rows.flat()) {
      // Spreadsheets skip blanks, and read full-width signs as the usual ones.
      assert(!/^[\s\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(cell), JSON.stringify(cell));
    }
    for (const text of Object.values(TEXTS)) {
      assert(names.includes(unguarded(text)), JSON.stringify(text));
    }
  });
});

/** The rows of a CSV file (RFC 4180), read without code of the console. */
function cells(csv: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, end] of csv.replace(/^\ufeff/, '').matchAll(/"((?:[^"]|"")*)"(,|\r\n)/g)) {
    rows.at(-1)?.push((quoted ?? '').replaceAll('""', '"'));
    if (end === '\r\n') rows.push([]);
  }
  rows.pop();
  return rows;
}
