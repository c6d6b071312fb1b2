/** The public API of the server that serves the console. */

import { connection } from './connection.js';
import { quoted } from './shell-words.js';
import { text } from './text.js';

/** The longest wait that the console accepts from `Retry-After`, in seconds. */
const RETRY_AFTER_SECONDS_MAX = 60;

/** The wait before a busy server is asked again that does not say how long, in seconds. */
const RETRY_AFTER_SECONDS_DEFAULT = 2;

/** The times that a busy server is asked again before the user sees its error. */
const BUSY_RETRIES_MAX = 10;

/** The waits before an unreachable server is asked again, in seconds. The last one repeats. */
const LOST_RETRY_SECONDS = [0.5, 1, 2, 3, 5];

/** The statuses of a proxy that does not reach the server. Its answer has no error of the API. */
const GATEWAY_STATUSES = [502, 503, 504];

/** The error code of a token that is unknown, expired or disabled, or of a refused address. */
const ACCESS_CODE = 9109;

/** The messages of that code for a token that is not valid at all. SDKs match this text too. */
const INVALID_TOKEN = 'Invalid access token';

/** An error that the server answered. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {import('./types.js').ErrorItem[]} errors
   * @param {string | null} requestId
   * @param {number | null} retryAfter Seconds.
   */
  constructor(status, errors, requestId, retryAfter) {
    super(errors[0]?.message ?? text.shell.errorWithoutMessage(status));
    this.name = 'ApiError';
    this.status = status;
    this.errors = errors;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }

  /** The code of the first error. */
  get code() {
    return this.errors[0]?.code ?? 0;
  }

  /** The input at fault: a JSON pointer such as `/csr`, or a parameter. */
  get pointer() {
    return this.errors[0]?.source?.pointer ?? null;
  }
}

/** The server could not be reached, so that a change may or may not have been made. */
export class LostError extends Error {
  constructor() {
    super(text.shell.lostChange);
    this.name = 'LostError';
  }
}

/**
 * @typedef {Record<string, string | number | boolean | readonly string[] | null | undefined>
 *   | URLSearchParams} Query
 * @typedef {object} Options
 * @property {AbortSignal} [signal]
 * @property {boolean} [quiet] No note about retries, for work in the background.
 * @property {boolean} [isOnce] The caller repeats the request itself: every failure is an error.
 * @property {string} [idempotencyKey] Makes a POST of a certificate repeatable: docs/retries.md.
 */

/**
 * @template T
 * @typedef {object} Answer
 * @property {T} result
 * @property {import('./types.js').ResultInfo} result_info Of lists only.
 * @property {import('./types.js').Message[]} messages
 */

/** The client of the API. It holds the token. */
export class Api {
  /** @type {string | null} */
  #token = null;

  /** Called when the server says that the token is not valid any more. */
  onInvalidToken = () => {};

  /** @param {string | null} token */
  setToken(token) {
    this.#token = token;
  }

  /**
   * @template [T=any]
   * @param {string} path Begins with `/client/v4` or `/certgate/v1`.
   * @param {Query} [query]
   * @param {Options} [options]
   * @returns {Promise<Answer<T>>}
   */
  get(path, query, options) {
    return this.#json('GET', path + queryText(query), undefined, options);
  }

  /**
   * Not repeated after a lost connection without an `idempotencyKey`, because the server may have
   * done it.
   * @template [T=any]
   * @param {string} path
   * @param {unknown} [body]
   * @param {Options} [options]
   * @returns {Promise<Answer<T>>}
   */
  post(path, body, options) {
    return this.#json('POST', path, body, options);
  }

  /**
   * @template [T=any]
   * @param {string} path
   * @param {unknown} [body]
   * @param {Options} [options]
   * @returns {Promise<Answer<T>>}
   */
  put(path, body, options) {
    return this.#json('PUT', path, body, options);
  }

  /**
   * @template [T=any]
   * @param {string} path
   * @param {unknown} [body]
   * @param {Options} [options]
   * @returns {Promise<Answer<T>>}
   */
  patch(path, body, options) {
    return this.#json('PATCH', path, body, options);
  }

  /**
   * @template [T=any]
   * @param {string} path
   * @param {unknown} [body]
   * @param {Options} [options]
   * @returns {Promise<Answer<T>>}
   */
  delete(path, body, options) {
    return this.#json('DELETE', path, body, options);
  }

  /**
   * Returns the text of an answer that is not JSON.
   * @param {string} path
   * @param {Options} [options]
   */
  async text(path, options) {
    return (await this.#send('GET', path, undefined, options)).text();
  }

  /**
   * Yields the JSON objects of an answer in lines. Ends with the answer, and throws if the
   * connection is lost.
   * @template [T=any]
   * @param {string} path
   * @param {Query} [query]
   * @param {Options} [options]
   * @returns {AsyncGenerator<T, void, undefined>}
   */
  async *stream(path, query, options) {
    const response = await this.#send('GET', path + queryText(query), undefined, options);
    if (!response.body) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const lines = (rest + value).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          if (line) yield JSON.parse(line);
        }
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /**
   * Returns the curl command of a request. The token is a variable of the shell.
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   */
  curl(method, path, body) {
    const lines = [`curl -X ${method} ${quoted(location.origin + path)}`];
    lines.push('-H "Authorization: Bearer $CERTGATE_TOKEN"');
    if (body !== undefined) {
      lines.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
    }
    return lines.join(' \\\n  ');
  }

  /**
   * @param {string} method
   * @param {string} target
   * @param {unknown} body
   * @param {Options} [options]
   * @returns {Promise<Answer<any>>}
   */
  async #json(method, target, body, options) {
    for (let lost = 0; ; lost += 1) {
      const response = await this.#send(method, target, body, options);
      try {
        const answer = await response.json();
        return {
          result: answer.result,
          result_info: answer.result_info,
          messages: answer.messages ?? [],
        };
      } catch (error) {
        // The connection broke in the middle of the answer.
        options?.signal?.throwIfAborted();
        if (!isRepeatable(method, options)) throw new LostError();
        if (error instanceof SyntaxError) throw error;
        await connection.lost(lostSeconds(lost), options?.signal);
      }
    }
  }

  /**
   * Sends a request until the server answers, and throws its error.
   * @param {string} method
   * @param {string} target
   * @param {unknown} body
   * @param {Options} [options]
   */
  async #send(method, target, body, options = {}) {
    const { signal, quiet = false, isOnce = false } = options;
    let busy = 0;
    for (let lost = 0; ; ) {
      /** @type {Response} */
      let response;
      try {
        response = await fetch(target, this.#request(method, target, body, options));
      } catch {
        signal?.throwIfAborted();
        if (!isRepeatable(method, options)) {
          void connection.probe();
          throw new LostError();
        }
        await connection.lost(lostSeconds(lost), signal);
        lost += 1;
        continue;
      }
      if (response.ok) {
        connection.reached();
        return response;
      }
      const error = await failure(response);
      signal?.throwIfAborted();
      if (error.errors.length === 0 && GATEWAY_STATUSES.includes(response.status)) {
        // A proxy in front of the server does not reach it.
        if (!isRepeatable(method, options)) throw new LostError();
        await connection.lost(lostSeconds(lost), signal);
        lost += 1;
        continue;
      }
      connection.reached();
      const mayRepeat = response.headers.get('x-should-retry') !== 'false';
      const isBusy = !isOnce && (response.status === 429 || response.status === 503);
      if (isBusy && mayRepeat && busy < BUSY_RETRIES_MAX) {
        const seconds = error.retryAfter ?? RETRY_AFTER_SECONDS_DEFAULT;
        if (seconds <= RETRY_AFTER_SECONDS_MAX) {
          busy += 1;
          await connection.busy(seconds, quiet, signal);
          continue;
        }
      }
      if (error.code === ACCESS_CODE && error.message === INVALID_TOKEN) this.onInvalidToken();
      throw error;
    }
  }

  /**
   * @param {string} method
   * @param {string} target
   * @param {unknown} body
   * @param {Options} options
   * @returns {RequestInit}
   */
  #request(method, target, body, { signal, idempotencyKey }) {
    /** @type {Record<string, string>} */
    const headers = { Accept: 'application/json' };
    // Metrics need no token, and a proxy may send them elsewhere.
    const isApi = /^\/(client\/v4|certgate\/v1)\//.test(target);
    if (isApi && this.#token !== null) headers['Authorization'] = `Bearer ${this.#token}`;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (idempotencyKey !== undefined) headers['Idempotency-Key'] = idempotencyKey;
    return {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
    };
  }
}

/**
 * Returns the query with its question mark. Empty values are left out.
 * @param {Query} [query]
 */
export function queryText(query) {
  if (!query) return '';
  const parameters = new URLSearchParams();
  const entries = query instanceof URLSearchParams ? query.entries() : Object.entries(query);
  for (const [name, value] of entries) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== '') parameters.append(name, String(each));
    }
  }
  const encoded = parameters.toString();
  return encoded && `?${encoded}`;
}

/**
 * Returns true if a request has the same effect twice as once.
 * @param {string} method
 * @param {Options} [options]
 */
function isRepeatable(method, options) {
  return !options?.isOnce && (method !== 'POST' || options?.idempotencyKey !== undefined);
}

/** @param {number} times */
function lostSeconds(times) {
  return LOST_RETRY_SECONDS[Math.min(times, LOST_RETRY_SECONDS.length - 1)] ?? 5;
}

/** @param {Response} response */
async function failure(response) {
  /** @type {import('./types.js').ErrorItem[]} */
  let errors = [];
  try {
    const body = await response.json();
    if (Array.isArray(body.errors)) errors = body.errors;
  } catch {
    // A proxy between the browser and the server may answer without JSON.
  }
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new ApiError(
    response.status,
    errors,
    response.headers.get('certgate-request-id'),
    Number.isFinite(retryAfter) ? retryAfter : null,
  );
}
