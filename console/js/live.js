/** One stream of changes for the tab, or polling for tokens that may not read the stream. */

import { ApiError } from './api.js';
import { sleep } from './connection.js';

/** The time between two looks at the server without the stream, in milliseconds. */
const POLL_MS = 5000;

/** The time between two looks beside the stream, in milliseconds. */
const SLOW_POLL_MS = 30_000;

/** The time between two looks while the user waits for an effect, in milliseconds. */
const EXPECTED_POLL_MS = 1000;

/** The time that the user waits for an effect at most, in milliseconds. */
const EXPECTED_MS = 60_000;

/** The time that one stream lasts, in seconds. The next one follows. */
const STREAM_SECONDS = 300;

/** The time without a line after which a stream is lost: the server sends one every ten seconds. */
const STREAM_IDLE_MS = 25_000;

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
  #isFollowing = false;
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
    const { account } = this.#session;
    if (this.isStreaming && account !== null) void this.#follow(account, signal);
    void this.#poll(signal);
  }

  /**
   * Reads one stream after the other until the signal aborts, or the token may not any more.
   * @param {string} account
   * @param {AbortSignal} signal
   */
  async #follow(account, signal) {
    const base = `/certgate/v1/accounts/${account}`;
    while (!signal.aborted) {
      try {
        if (this.#epoch === null) {
          const options = { signal, quiet: true };
          const { result } = await this.#api.get(`${base}/enforcement`, {}, options);
          this.#epoch = result.epoch;
        }
        await this.#read(`${base}/revocation_stream`, this.#epoch ?? 0, signal);
      } catch (error) {
        if (error instanceof ApiError) {
          if (error.status === 403) return;
          // 1521: the database was restored, and does not have the epoch.
          this.#epoch = null;
        }
        await sleep(STREAM_RETRY_MS, signal).catch(() => {});
      }
    }
  }

  /**
   * Reads one stream to its end, and throws if it is lost.
   * @param {string} path
   * @param {number} after
   * @param {AbortSignal} signal
   */
  async #read(path, after, signal) {
    const lost = new AbortController();
    const both = AbortSignal.any([signal, lost.signal]);
    let idle = setTimeout(() => lost.abort(), STREAM_IDLE_MS);
    try {
      const query = { after, for_seconds: STREAM_SECONDS };
      for await (const line of this.#api.stream(path, query, { signal: both, quiet: true })) {
        clearTimeout(idle);
        idle = setTimeout(() => lost.abort(), STREAM_IDLE_MS);
        // Changes may have come between the page's own reading and the first line.
        const isFirst = !this.#isFollowing;
        this.#isFollowing = true;
        this.#epoch = line.epoch;
        for (const change of line.changes) this.#call('change', change);
        if (isFirst || line.changes.length > 0) this.#refresh();
      }
    } finally {
      clearTimeout(idle);
      this.#isFollowing = false;
      this.#wakePoll();
    }
  }

  /**
   * Refreshes at intervals: often without a stream and while the user waits for an effect, and
   * sometimes beside a stream, which has no line about new certificates and settled changes.
   * @param {AbortSignal} signal
   */
  async #poll(signal) {
    while (!signal.aborted) {
      const isExpected = Date.now() < this.#expectedUntil;
      const woken = new AbortController();
      this.#wakePoll = () => woken.abort();
      const usual = this.#isFollowing ? SLOW_POLL_MS : POLL_MS;
      const pause = isExpected ? EXPECTED_POLL_MS : usual;
      await sleep(pause, AbortSignal.any([signal, woken.signal])).catch(() => {});
      if (!signal.aborted && !woken.signal.aborted) this.#refresh();
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
