// Everything without a mouse.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { Browser, Page } from 'playwright-core';

import { inTab, launch, Tab } from './browser.js';
import { Server } from './server.js';

/** Keys after which each control of a page has had the focus. */
const TABS_MAX = 200;

let server: Server;
let browser: Browser;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
});
after(async () => {
  await browser.close();
  await server.stop();
});

/** The name of the element with the focus, as a screen reader says it. */
const focused = (page: Page) =>
  page.evaluate(() => {
    const { activeElement: element } = document;
    const label = element instanceof HTMLInputElement ? element.labels?.[0]?.textContent : null;
    return (element?.getAttribute('aria-label') ?? label ?? element?.textContent ?? '')
      .replace(/\s+/g, ' ')
      .trim();
  });

/** Presses Tab until the element with this name has the focus. */
async function tabTo(page: Page, name: string, key = 'Tab'): Promise<void> {
  const seen: string[] = [];
  for (let presses = 0; presses < TABS_MAX; presses += 1) {
    await page.keyboard.press(key);
    const now = await focused(page);
    if (now === name) return;
    seen.push(now.slice(0, 30));
  }
  assert.fail(`the focus does not reach ${name}, only ${seen.join(' | ')}`);
}

test('a certificate is found, revoked and restored by keys alone', async () => {
  const { id } = await server.issue('keyboard-1');
  await server.issue('other-1');
  await inTab(Tab.blank(browser, server), async (tab) => {
    const { main, page } = tab;
    await page.goto(server.console);
    await page.getByLabel('API token').waitFor();
    await tabTo(page, 'API token');
    await page.keyboard.insertText(tab.token);
    await page.keyboard.press('Enter');
    await page.locator('#navigation').waitFor();
    await tab.settle();
    await tabTo(page, 'Certificates');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Certificates' }).waitFor();
    await tabTo(page, 'Search certificates');
    await page.keyboard.type('keyboard');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
    // Enter opens the only match.
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'keyboard-1' }).waitFor();
    await main.getByRole('button', { name: 'Revoke…' }).waitFor();
    await tabTo(page, 'Revoke…');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await tabTo(page, 'Revoke', 'Shift+Tab');
    await page.keyboard.press('Enter');
    await main.getByText(/^Settled: every revocation list has it/).waitFor();
    assert.equal((await server.certificate(id)).status, 'revoked');
    await tabTo(page, 'Restore');
    await page.keyboard.press('Enter');
    await main.getByText(/^Settled: no revocation list has it/).waitFor();
    assert.equal((await server.certificate(id)).status, 'active');
  });
});

test('the first key skips to the page', async () => {
  await inTab(Tab.open(browser, server, 'overview'), async ({ page }) => {
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    await tabTo(page, 'Skip to the page');
    await page.keyboard.press('Enter');
    assert(await page.locator('h1').evaluate((heading) => heading === document.activeElement));
  });
});

test('the focus moves to the heading of a new page, and stays in an open dialog', async () => {
  const { id } = await server.issue('focus-1');
  await inTab(Tab.open(browser, server, 'overview'), async (tab) => {
    const { page } = tab;
    await tab.go('certificates');
    assert.equal(await focused(page), 'Certificates');
    await tab.go(`certificates/${id}`);
    await page.getByRole('button', { name: 'Revoke…' }).click();
    for (let presses = 0; presses < 30; presses += 1) {
      await page.keyboard.press('Tab');
      const outside = await page.evaluate(() => {
        const { activeElement: element } = document;
        return element !== document.body && element?.closest('dialog') === null;
      });
      assert(!outside, await focused(page));
    }
  });
});

test('every control of every page can have the focus, and shows it', async () => {
  await inTab(Tab.open(browser, server, 'overview'), async (tab) => {
    const { page } = tab;
    const paths = await page
      .locator('#navigation a')
      .evaluateAll((links) => links.map((link) => link.getAttribute('href') ?? ''));
    for (const path of paths) {
      await tab.go(path.slice(2));
      const hidden = await page.evaluate(() => {
        const controls = document.querySelectorAll<HTMLElement>(
          'a[href], button:not(:disabled), input:not(:disabled), select, textarea, summary',
        );
        const wrong: string[] = [];
        for (const control of controls) {
          if (!control.checkVisibility()) continue;
          control.focus();
          const { outlineStyle, boxShadow } = getComputedStyle(control);
          const isShown = outlineStyle !== 'none' || boxShadow !== 'none';
          if (control !== document.activeElement) wrong.push(`no focus: ${control.outerHTML}`);
          // Script focuses visibly only after a key, so that this looks at what a key would show.
          else if (control.matches(':focus-visible') && !isShown) wrong.push(control.outerHTML);
        }
        return wrong.map((html) => html.slice(0, 120));
      });
      assert.deepEqual(hidden, [], path);
    }
  });
});
