/** The connection to the server as the banner shows it. */

/**
 * @typedef {{ state: 'good' } | { state: 'lost' } | { state: 'busy', until: number }} Condition
 * `until`: milliseconds, as `Date.now()` has them.
 */

/** The longest time without a probe of the server while it is unreachable, in milliseconds. */
const PROBE_MS = 2000;

class Connection extends EventTarget {
  /** @type {Condition} */
  condition = { state: 'good' };

  #waiting = 0;
  #isProbing = false;
  /** Those who wait for the server, to be woken when another request reaches it. */
  #wakes = new Set(/** @type {Array<() => void>} */ ([]));

  /** The server answered. */
  reached() {
    for (const wake of this.#wakes) wake();
    this.#wakes.clear();
    this.#isProbing = false;
    if (this.condition.state === 'lost') this.#set({ state: 'good' });
  }

  /**
   * The server could not be reached: waits before the next attempt, at most until another request
   * reaches it or the browser is online again.
   * @param {number} seconds
   * @param {AbortSignal} [signal]
   */
  async lost(seconds, signal) {
    this.#set({ state: 'lost' });
    await this.#pause(seconds, signal);
  }

  /**
   * The server is busy: waits as long as it says.
   * @param {number} seconds
   * @param {boolean} quiet
   * @param {AbortSignal} [signal]
   */
  async busy(seconds, quiet, signal) {
    if (quiet) return sleep(seconds * 1000, signal);
    this.#waiting += 1;
    this.#set({ state: 'busy', until: Date.now() + seconds * 1000 });
    try {
      await sleep(seconds * 1000, signal);
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0 && this.condition.state === 'busy') this.#set({ state: 'good' });
    }
  }

  /** Asks until the server answers, for a request that must not be repeated. */
  async probe() {
    if (this.#isProbing) return;
    this.#isProbing = true;
    this.#set({ state: 'lost' });
    while (this.#isProbing) {
      try {
        await fetch('/healthz', { cache: 'no-store', credentials: 'omit' });
        this.reached();
      } catch {
        await this.#pause(PROBE_MS / 1000);
      }
    }
  }

  /**
   * @param {number} seconds
   * @param {AbortSignal} [signal]
   */
  async #pause(seconds, signal) {
    const woken = new AbortController();
    const wake = () => woken.abort();
    this.#wakes.add(wake);
    addEventListener('online', wake, { signal: woken.signal });
    try {
      const signals = signal ? [signal, woken.signal] : [woken.signal];
      await sleep(seconds * 1000, AbortSignal.any(signals));
    } catch {
      signal?.throwIfAborted();
    } finally {
      this.#wakes.delete(wake);
      woken.abort();
    }
  }

  /** @param {Condition} condition */
  #set(condition) {
    const isSame = condition.state === this.condition.state && condition.state !== 'busy';
    this.condition = condition;
    if (!isSame) this.dispatchEvent(new Event('change'));
  }
}

/**
 * Resolves after a time, and rejects when the signal aborts.
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const aborted = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', aborted);
      resolve();
    }, ms);
    signal?.addEventListener('abort', aborted, { once: true });
  });
}

export const connection = new Connection();
