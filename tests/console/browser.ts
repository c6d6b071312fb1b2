// Chromium on the console, and what must hold in every tab.

import assert from 'node:assert/strict';
import { join } from 'node:path';

import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
  type Request,
} from 'playwright-core';

import { PATIENCE_MS, type Server } from './server.js';

/** Paths that get the token. */
const API = /^\/(client\/v4|certgate\/v1)\//;

/** Lines that Chromium writes about an answer of the API with an error, or about none. */
const NETWORK = /^Failed to load resource: /;

export function launch(): Promise<Browser> {
  const executablePath = process.env['CERTGATE_TEST_CHROMIUM'] ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath });
}

export interface TabOptions extends BrowserContextOptions {
  /** Default: the token with every permission. */
  token?: string;
}

/** A tab of a context of its own. It records what happens in it. */
export class Tab {
  readonly requests: Request[] = [];
  /** Errors and warnings of scripts, of the browser and of the policy of content. */
  readonly complaints: string[] = [];

  private constructor(
    readonly server: Server,
    readonly context: BrowserContext,
    readonly page: Page,
    readonly token: string,
  ) {
    context.on('request', (request) => this.requests.push(request));
    page.on('pageerror', (error) => this.complaints.push(String(error.stack ?? error)));
    page.on('console', (message) => {
      const isComplaint = message.type() === 'error' || message.type() === 'warning';
      if (isComplaint && !NETWORK.test(message.text())) this.complaints.push(message.text());
    });
  }

  /** Opens a tab without an address. */
  static async blank(browser: Browser, server: Server, options: TabOptions = {}): Promise<Tab> {
    const { token = server.token, ...more } = options;
    const context = await browser.newContext({
      acceptDownloads: true,
      locale: 'en-GB',
      timezoneId: 'Europe/Berlin',
      ...more,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, sample }) => {
        console.error(`violated: ${violatedDirective} ${sample}`);
      });
    });
    await useFolder(context);
    return new Tab(server, context, await context.newPage(), token);
  }

  /** Opens a tab, signs in, and waits for a page. `path` is the fragment without `#/`. */
  static async open(
    browser: Browser,
    server: Server,
    path: string,
    options: TabOptions = {},
  ): Promise<Tab> {
    const tab = await Tab.blank(browser, server, options);
    try {
      await tab.page.goto(`${server.console}#/${path}`);
      await tab.signIn();
    } catch (error) {
      await tab.fail();
      throw error;
    }
    return tab;
  }

  /** Reports what the tab shows after a test has failed in it. Closes it. */
  async fail(): Promise<void> {
    const { complaints, page } = this;
    const shown = await page.locator('body').innerText({ timeout: 1000 }).catch(() => '');
    const words = shown.replace(/\s+/g, ' ').slice(0, 700);
    console.error([`at ${page.url()}`, ...complaints, words].join('\n'));
    await this.context.close();
  }

  /** Fills the form of the sign-in, and waits for the first page behind it. */
  async signIn(): Promise<void> {
    await this.page.getByLabel('API token').fill(this.token);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    // A narrow window hides it behind a button.
    await this.page.locator('#navigation').waitFor({ state: 'attached' });
    await this.settle();
  }

  /** Goes to a page by its fragment, without `#/`. */
  async go(path: string): Promise<void> {
    // The console has seen the change when this returns: it listened first.
    await this.page.evaluate(
      (hash) =>
        new Promise<void>((resolve) => {
          if (location.hash === hash) resolve();
          addEventListener('hashchange', () => resolve(), { once: true });
          location.hash = hash;
        }),
      `#/${path}`,
    );
    await this.settle();
  }

  /** The part of the window that the page fills, without announcements to screen readers. */
  get main(): Locator {
    return this.page.locator('#page');
  }

  /** Waits until no part of the page says that it loads, and no list is an earlier one. */
  async settle(): Promise<void> {
    await this.page.waitForFunction(() => {
      const root = document.querySelector('#page');
      const isFilled = root !== null && root.childElementCount > 0;
      return isFilled && !document.querySelector('.loading, .stale');
    });
  }

  /** Checks the rules that hold in every tab, and closes it. */
  async close(): Promise<void> {
    const { page, token } = this;
    const kept = await page.evaluate(() => ({
      address: location.href,
      local: JSON.stringify(localStorage),
      cookies: document.cookie,
      text: document.documentElement.outerHTML,
    }));
    for (const [place, content] of Object.entries(kept)) {
      assert(!content.includes(token), `the token is not in ${place}`);
    }
    assert.deepEqual([kept.local, kept.cookies], ['{}', '']);
    assert.deepEqual(await this.context.cookies(), []);
    for (const request of this.requests) {
      const url = new URL(request.url());
      if (url.protocol === 'blob:' || url.protocol === 'data:') continue;
      assert.equal(url.origin, new URL(this.server.base).origin, 'no other server is asked');
      assert(!request.url().includes(token), `the token is not in ${url.pathname}`);
      const { authorization, ...others } = request.headers();
      assert(!JSON.stringify(others).includes(token), 'the token is in one header only');
      assert(!(request.postData() ?? '').includes(token), 'the token is not in a body');
      const wanted = API.test(url.pathname) ? `Bearer ${token}` : undefined;
      assert.equal(authorization, wanted, `the credentials of ${url.pathname}`);
    }
    assert.deepEqual(this.complaints, [], 'nothing complains in the tab');
    await this.context.close();
  }
}

/** Runs a test in a tab, and then checks what must hold in every tab. */
export async function inTab(tab: Promise<Tab>, body: (tab: Tab) => Promise<void>): Promise<void> {
  const opened = await tab;
  try {
    await body(opened);
  } catch (error) {
    await opened.fail();
    throw error;
  }
  await opened.close();
}

/**
 * Replaces the files of the console by those of the folder `CERTGATE_TEST_CONSOLE`, if it is set:
 * you can change them then without building certgate.
 */
async function useFolder(context: BrowserContext): Promise<void> {
  const folder = process.env['CERTGATE_TEST_CONSOLE'];
  if (!folder) return;
  await context.route(/\/console\/[0-9a-f]+\//, async (route) => {
    const { origin, pathname } = new URL(route.request().url());
    const path = join(folder, pathname.split('/').slice(3).join('/'));
    const index = `${origin}/console/`;
    const { headers } = await fetch(index);
    const policy = headers.get('content-security-policy') ?? '';
    await route.fulfill({ path, headers: { 'content-security-policy': policy } });
  });
}
