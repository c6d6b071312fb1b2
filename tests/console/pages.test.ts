// Every page in both themes and at every width: accessibility, and nothing wider than the window.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { AxeBuilder } from '@axe-core/playwright';
import type { Browser } from 'playwright-core';

import { inTab, launch, Tab } from './browser.js';
import { type Certificate, Server } from './server.js';

let server: Server;
let browser: Browser;
/** Addresses of all pages, without `#/`. */
let pages: string[] = [];

before(async () => {
  [server, browser] = await Promise.all([Server.withEstate(), launch()]);
  const [certificate] = await server.get<Certificate[]>(`${server.zone}/client_certificates`);
  const tab = await Tab.open(browser, server, 'overview');
  const links = tab.page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
  for (const link of await links.all()) {
    pages.push(((await link.getAttribute('href')) ?? '').replace(/^#\//, ''));
  }
  pages.push(`certificates/${certificate?.id}`);
  await tab.close();
});
after(async () => {
  await browser.close();
  await server.stop();
});

/** Goes to a page, which must be there: the notice of a failure would pass many tests. */
async function show(tab: Tab, path: string): Promise<void> {
  await tab.go(path);
  const shown = await tab.main.innerText();
  assert(!/may not open this page|did not work|^Error|Page not found/m.test(shown), shown);
}

/** The rules of WCAG 2.2 AA, and those of good practice. */
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Returns what axe-core finds wrong, as short lines. */
async function violations({ page }: Tab): Promise<string[]> {
  const { violations: found } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} at ${String(target)}: ${failureSummary}`),
  );
}

test('a violation would be found', async () => {
  await inTab(Tab.open(browser, server, 'overview'), async (tab) => {
    await tab.page.evaluate(() => document.querySelector('#page')?.append(new Image()));
    assert.match((await violations(tab)).join(), /^image-alt at /);
  });
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`no page has a violation in the ${colorScheme} theme`, async (t) => {
    await inTab(Tab.blank(browser, server, { colorScheme }), async (tab) => {
      await tab.page.goto(server.console);
      assert.deepEqual(await violations(tab), [], 'the form of the sign-in');
      await tab.signIn();
      for (const path of pages) {
        await t.test(path, async () => {
          await show(tab, path);
          assert.deepEqual(await violations(tab), []);
        });
      }
    });
  });
}

/** Widths in CSS pixels: a phone, a window of 1280 pixels at 200 % zoom, tablets, a screen, 4K. */
const WIDTHS = [360, 640, 800, 1024, 1280, 3840];

for (const width of WIDTHS) {
  test(`no page scrolls sideways at ${width} pixels`, async (t) => {
    const viewport = { width, height: 800 };
    await inTab(Tab.open(browser, server, 'overview', { viewport }), async (tab) => {
      for (const path of pages) {
        await t.test(path, async () => {
          await show(tab, path);
          assert.deepEqual(await tooWide(tab), []);
        });
      }
    });
  });
}

/** Returns the elements that make the page wider than the window. */
function tooWide({ page }: Tab): Promise<string[]> {
  return page.evaluate(() => {
    const { clientWidth, scrollWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    return [...document.querySelectorAll('body *')]
      .filter((element) => element.getBoundingClientRect().right > clientWidth + 1)
      .map(({ tagName, className, textContent }) => {
        return `${tagName}.${className}: ${textContent?.slice(0, 40)}`;
      })
      .slice(0, 5);
  });
}

test('nothing moves for users who want less motion', async (t) => {
  await inTab(Tab.open(browser, server, 'overview', { reducedMotion: 'reduce' }), async (tab) => {
    for (const path of pages) {
      await t.test(path, async () => {
        await show(tab, path);
        const moving = await tab.page.evaluate(() =>
          document
            .getAnimations()
            .filter(({ playState }) => playState === 'running')
            .map(({ effect }) => String((effect as KeyframeEffect | null)?.target?.className)),
        );
        assert.deepEqual(moving, []);
      });
    }
  });
});

test('every page has one heading, landmarks, and a title of its own', async () => {
  await inTab(Tab.open(browser, server, 'overview'), async (tab) => {
    const titles = new Set<string>();
    for (const path of pages) {
      await show(tab, path);
      assert.equal(await tab.page.locator('h1').count(), 1, path);
      assert.equal(await tab.page.getByRole('main').count(), 1, path);
      titles.add(await tab.page.title());
    }
    assert.equal(titles.size, pages.length, String([...titles]));
  });
});
