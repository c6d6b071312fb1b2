/** One stream of changes for the tab, or polling for tokens that may not read the stream. */

import { ApiError } from './api.js';
import { sleep } from './connection.js';

/** The time between two looks at the server without the stream, in milliseconds. */
const POLL_MS = 5000;

/** The time between two looks while the user waits for an effect, in milliseconds. */
const EXPECTED_POLL_MS = 1000;

/** The time that the user waits for an effect at most, in milliseconds. */
const EXPECTED_MS = 60_000;

/** The time that one stream lasts, in seconds. The next one follows. */
const STREAM_SECONDS = 300;

/** The wait after a stream that failed, in milliseconds. */
const STREAM_RETRY_MS = 5000;

/** The permission of the stream. */
const STREAM_PERMISSION = 'Enforcement Points Read';

/**
 * `change`: the stream has a line about a certificate or the configuration, given to the function.
 * `refresh`: data may have changed, so read again what the page shows. The function gets nothing.
 * @typedef {'change' | 'refresh'} Kind
 */

export class Live {
  #api;
  #session;
  /** @type {Map<Kind, Set<(change: import('./types.js').FeedChange) => void>>} */
  #functions = new Map([
    ['change', new Set()],
    ['refresh', new Set()],
  ]);
  #running = new AbortController();
  /** @type {number | null} */
  #epoch = null;
  #expectedUntil = 0;
  #wakePoll = () => {};

  /**
   * @param {import('./api.js').Api} api
   * @param {import('./session.js').Session} session
   */
  constructor(api, session) {
    this.#api = api;
    this.#session = session;
    session.addEventListener('change', () => this.#restart());
    document.addEventListener('visibilitychange', () => this.#restart());
  }

  /** True if changes arrive by the stream, false if the tab polls. */
  get isStreaming() {
    return this.#session.may(STREAM_PERMISSION);
  }

  /**
   * Calls the function until the signal aborts.
   * @param {Kind} kind
   * @param {(change: import('./types.js').FeedChange) => void} listener
   * @param {AbortSignal} signal
   */
  subscribe(kind, listener, signal) {
    if (signal.aborted) return;
    this.#functions.get(kind)?.add(listener);
    signal.addEventListener('abort', () => this.#functions.get(kind)?.delete(listener));
  }

  /** The user waits for the effect of an action: refreshes every second until `settled`. */
  expect() {
    this.#expectedUntil = Date.now() + EXPECTED_MS;
    this.#wakePoll();
  }

  /** The effect is there. */
  settled() {
    this.#expectedUntil = 0;
  }

  #restart() {
    this.#running.abort();
    this.#running = new AbortController();
    if (!this.#session.isSignedIn) this.#epoch = null;
    if (document.hidden || !this.#session.isSignedIn) return;
    const { signal } = this.#running;
    const account = this.#session.account;
    const streams = this.isStreaming && account !== null;
    if (streams) this.#follow(account, signal).catch(() => {});
    this.#poll(streams, signal).catch(() => {});
  }

  /**
   * @param {string} account
   * @param {AbortSignal} signal
   */
  async #follow(account, signal) {
    const base = `/certgate/v1/accounts/${account}`;
    const options = { signal, quiet: true };
    for (;;) {
      try {
        if (this.#epoch === null) {
          const { result } = await this.#api.get(`${base}/enforcement`, {}, options);
          this.#epoch = result.epoch;
          this.#refresh();
        }
        const query = { after: this.#epoch, for_seconds: STREAM_SECONDS };
        for await (const line of this.#api.stream(`${base}/revocation_stream`, query, options)) {
          this.#epoch = line.epoch;
          for (const change of line.changes) this.#call('change', change);
          if (line.changes.length > 0) this.#refresh();
        }
      } catch (error) {
        signal.throwIfAborted();
        // 1521: the database was restored, and does not have the epoch.
        if (error instanceof ApiError) this.#epoch = null;
        await sleep(STREAM_RETRY_MS, signal);
      }
    }
  }

  /**
   * @param {boolean} streams
   * @param {AbortSignal} signal
   */
  async #poll(streams, signal) {
    for (;;) {
      const isExpected = Date.now() < this.#expectedUntil;
      const woken = new AbortController();
      this.#wakePoll = () => woken.abort();
      const pause = isExpected ? EXPECTED_POLL_MS : POLL_MS;
      await sleep(pause, AbortSignal.any([signal, woken.signal])).catch(() => {});
      signal.throwIfAborted();
      if (!woken.signal.aborted && (!streams || isExpected)) this.#refresh();
    }
  }

  #refresh() {
    this.#call('refresh', { epoch: this.#epoch ?? 0 });
  }

  /**
   * @param {Kind} kind
   * @param {import('./types.js').FeedChange} change
   */
  #call(kind, change) {
    for (const listener of this.#functions.get(kind) ?? []) listener(change);
  }
}
