// Measures the console in Chromium against its targets: `cargo xtask console measure`.

import type { Page } from 'playwright-core';

import { launch, Tab } from './browser.js';
import { QuietTab } from './quiet-tab.js';
import { type Certificate, Server } from './server.js';

/** Pages of the list that the tab shows one after another. */
const PAGES = Number(process.env['CERTGATE_MEASURE_PAGES'] ?? 1000);

/** Repetitions of what takes milliseconds. The median is printed. */
const TIMES = 15;

function report(name: string, value: number, unit: string, target: number): void {
  const verdict = value <= target ? 'holds' : 'MISSED';
  const figure = `${value.toFixed(1).padStart(8)} ${unit}`;
  console.log(`${name.padEnd(58)} ${figure}, at most ${target}: ${verdict}`);
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** Bytes on the wire from an empty cache, and the time until the form accepts a token. */
async function firstLoad(): Promise<void> {
  const times: number[] = [];
  let bytes = 0;
  for (let run = 0; run < TIMES; run += 1) {
    const tab = await Tab.blank(browser, server);
    const session = await tab.context.newCDPSession(tab.page);
    await session.send('Network.enable');
    const paths = new Map<string, string>();
    session.on('Network.requestWillBeSent', ({ requestId, request }) => {
      paths.set(requestId, new URL(request.url).pathname);
    });
    bytes = 0;
    session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      if (paths.get(requestId)?.startsWith('/console/')) bytes += encodedDataLength;
    });
    await tab.context.addInitScript(() => {
      const seen = new MutationObserver(() => {
        if (!document.querySelector('#token')) return;
        seen.disconnect();
        performance.mark('interactive');
      });
      seen.observe(document, { childList: true, subtree: true });
    });
    await tab.page.goto(server.console);
    await tab.page.getByLabel('API token').fill(tab.token);
    times.push(
      await tab.page.evaluate(() => {
        const [mark] = performance.getEntriesByName('interactive');
        return mark?.startTime ?? NaN;
      }),
    );
    if (run === 0) report('files of the sign-in, from an empty cache', bytes / 1000, 'kB', 150);
    await tab.page.getByRole('button', { name: 'Sign in' }).click();
    await tab.settle();
    if (run === 0) report('files of the sign-in and the overview', bytes / 1000, 'kB', 150);
    await tab.context.close();
  }
  report(`sign-in: interactive after, median of ${TIMES}`, median(times), 'ms', 500);
}

/** Time between two keys of a quick typist. */
const KEY_MS = 60;

interface Watched {
  /** Time of the last change of the rows. */
  changed: number;
  /** Time of the last key. */
  typed: number;
}

declare global {
  interface Window {
    watched: Watched;
  }
}

/** Records in the page when its rows change and when a key is pressed. */
async function watch(page: Page): Promise<void> {
  await page.evaluate(() => {
    window.watched = { changed: 0, typed: 0 };
    const note = () => {
      window.watched.changed = performance.now();
    };
    const seen = new MutationObserver((changes) => {
      if (changes.some(({ target }) => isInTable(target))) note();
    });
    const isInTable = (node: Node) => {
      const element = node instanceof Element ? node : node.parentElement;
      return element !== null && element.closest('table') !== null;
    };
    seen.observe(document.body, { childList: true, subtree: true, characterData: true });
    addEventListener('input', () => (window.watched.typed = performance.now()), true);
  });
}

const LIST = /\/client_certificates\?/;

/** The time from the answer to the rows in the document and painted. */
async function rows(tab: Tab): Promise<void> {
  const { page } = tab;
  const times: number[] = [];
  for (let run = 1; run <= TIMES; run += 1) {
    const answered = page.waitForResponse((response) => LIST.test(response.url()));
    await tab.go(`certificates?per_page=50&page=${run + 1}`);
    await (await answered).finished();
    times.push(await page.evaluate(sinceAnswer));
  }
  report(`rows after the answer, median of ${TIMES}`, median(times), 'ms', 50);
  const shown = await page.locator('tbody tr').count();
  console.log(`${''.padEnd(4)}(${shown} rows)`);
}

/** Runs in the page: waits for two frames, so that the rows are painted. */
async function sinceAnswer(): Promise<number> {
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const lists = performance
    .getEntriesByType('resource')
    .filter(({ name }) => name.includes('/client_certificates?'));
  const last = lists.at(-1) as PerformanceResourceTiming;
  return window.watched.changed - last.responseEnd;
}

/** The time from the last key to the rows that match. */
async function search(tab: Tab): Promise<void> {
  const { page } = tab;
  const path = `${server.zone}/client_certificates?status=all&limit=1000&page=20`;
  const known = await server.get<Certificate[]>(path);
  await tab.go('certificates?status=all');
  const box = page.getByRole('searchbox');
  const times: number[] = [];
  for (let run = 0; run < TIMES; run += 1) {
    const name = known[run * 61]?.common_name ?? '';
    await box.fill('');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length > 20);
    await page.keyboard.type(name, { delay: KEY_MS });
    await page.waitForFunction((wanted) => {
      const names = [...document.querySelectorAll('tbody th')].map(({ textContent }) =>
        (textContent ?? '').trim(),
      );
      return names.length > 0 && names.every((shown) => shown.startsWith(wanted));
    }, name);
    times.push(await page.evaluate(() => window.watched.changed - window.watched.typed));
  }
  const target = filled ? 150 : 100;
  report(`search: rows after the last key, median of ${TIMES}`, median(times), 'ms', target);
}

/** The memory of a tab before and after many pages. */
async function memory(): Promise<void> {
  const tab = await QuietTab.open();
  try {
    const empty = await tab.memory();
    const query = (page: number) => `status=all&replaced=all&per_page=50&page=${page}`;
    await tab.signIn(server, query(1));
    const before = await tab.memory();
    for (let page = 2; page <= PAGES; page += 1) await tab.go(query(page));
    const after = await tab.memory();
    report(`heap of the tab after ${PAGES} pages`, after.heap / 1e6, 'MB', 60);
    report('    its growth since page 1', (after.heap - before.heap) / 1e6, 'MB', 1);
    const growth = after.nodes - before.nodes;
    report('    more nodes of the document since page 1', growth, 'nodes', 100);
    for (const [name, { private: size }] of Object.entries({ empty, before, after })) {
      const label = `    private memory of its process, ${name}`;
      console.log(`${label.padEnd(58)} ${(size / 1e6).toFixed(1).padStart(8)} MB`);
    }
  } finally {
    await tab.close();
  }
}

const filled = process.env['CERTGATE_MEASURE_DATA'];
const server = await (filled ? Server.onFilled(filled) : Server.withEstate());
const browser = await launch();
try {
  await firstLoad();
  const tab = await Tab.open(browser, server, 'certificates');
  await watch(tab.page);
  await rows(tab);
  await search(tab);
  await tab.context.close();
  await memory();
} finally {
  await browser.close();
  await server.stop();
}
