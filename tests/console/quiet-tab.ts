// A tab of Chromium without a recorder, to measure its memory.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import puppeteer, { type Browser, type CDPSession } from 'puppeteer-core';

import type { Server } from './server.js';

/** Collections that free everything: objects of the page hold objects of scripts, and these others. */
const COLLECTIONS = 3;

/** The memory of a tab after a collection of garbage. */
export interface Memory {
  /** Objects of scripts and of the page, in octets. */
  heap: number;
  /** Nodes of the document. */
  nodes: number;
  /** Memory of the process that no other process shares, in octets, from the kernel. */
  private: number;
}

/**
 * A tab that nothing records. Playwright and Puppeteer record the answers of their tabs, up to
 * 100 MB of them in the process of the tab: so they may not open it.
 */
export class QuietTab {
  private constructor(
    private readonly browser: Browser,
    private readonly session: CDPSession,
  ) {}

  /** Opens an empty tab in a browser of its own. */
  static async open(): Promise<QuietTab> {
    const executablePath = process.env['CERTGATE_TEST_CHROMIUM'] ?? '/usr/bin/chromium';
    const browser = await puppeteer.launch({ executablePath, args: ['--no-sandbox'] });
    const target = await browser.waitForTarget((each) => each.type() === 'page');
    return new QuietTab(browser, await target.createCDPSession());
  }

  /** Signs in, and waits for a list of 50 rows. `query` is that of the fragment. */
  async signIn(server: Server, query: string): Promise<void> {
    const url = `${server.console}#/certificates?${query}`;
    const loaded = new Promise((resolve) => this.session.once('Page.loadEventFired', resolve));
    await this.session.send('Page.enable');
    await this.session.send('Page.navigate', { url });
    await loaded;
    await this.until(`document.querySelector('#token')`);
    const token = JSON.stringify(server.token);
    await this.evaluate(`{
      const field = document.querySelector('#token');
      field.value = ${token};
      field.dispatchEvent(new Event('input', { bubbles: true }));
      field.form.requestSubmit();
    }`);
    await this.until(`${SETTLED} && ${ROWS} === 50`);
  }

  /** Goes to another page of the list, and waits for its rows. */
  async go(query: string): Promise<void> {
    const before = JSON.stringify(await this.evaluate(FIRST));
    await this.evaluate(`location.hash = '#/certificates?${query}'`);
    await this.until(`${FIRST} !== ${before} && ${SETTLED} && ${ROWS} === 50`);
  }

  async memory(): Promise<Memory> {
    const { session } = this;
    await session.send('HeapProfiler.enable');
    for (let time = 0; time < COLLECTIONS; time += 1) {
      await session.send('HeapProfiler.collectGarbage');
    }
    await session.send('HeapProfiler.disable');
    const used = await session.send('Runtime.getHeapUsage');
    const { nodes } = await session.send('Memory.getDOMCounters');
    const heap = used.usedSize + used.embedderHeapUsedSize;
    return { heap, nodes, private: await this.privateMemory() };
  }

  async close(): Promise<void> {
    await this.browser.close();
  }

  /** The private memory of the largest process that renders. */
  private async privateMemory(): Promise<number> {
    const session = await this.browser.target().createCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    await session.detach();
    const sizes = processInfo
      .filter(({ type }) => type === 'renderer')
      .map(({ id }) => {
        const rollup = readFileSync(`/proc/${id}/smaps_rollup`, 'utf8');
        return 1024 * Number(/^Private_Dirty: +(\d+) kB$/m.exec(rollup)?.[1]);
      });
    return Math.max(...sizes);
  }

  private until(condition: string): Promise<unknown> {
    return this.evaluate(`new Promise((resolve) => {
      const look = () => ((${condition}) ? resolve(true) : setTimeout(look, 4));
      look();
    })`);
  }

  private async evaluate(expression: string): Promise<unknown> {
    const answer = await this.session.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    assert(!answer.exceptionDetails, JSON.stringify(answer.exceptionDetails));
    return answer.result.value;
  }
}

const SETTLED = `document.querySelector('#page')?.childElementCount > 0 &&
  !document.querySelector('.loading, .stale')`;
const ROWS = `document.querySelectorAll('#page tbody tr').length`;
const FIRST = `document.querySelector('#page tbody th')?.textContent`;
