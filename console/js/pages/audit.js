/** The audit log, and the verification of its hash chain in the browser. */

import { html, nothing } from '../../vendor/lit-html.js';
import { ApiError, queryText } from '../api.js';
import { ChainCheck, headOf, verify } from '../audit-chain.js';
import { commandLine } from '../shell-words.js';
import { text } from '../text.js';
import { foreign } from '../ui/certificate-name.js';
import { chips } from '../ui/chips.js';
import { command, equivalents } from '../ui/copy.js';
import { textField } from '../ui/form.js';
import { empty, errorNotice, loading, notice } from '../ui/notice.js';
import { progress } from '../ui/progress.js';
import { table } from '../ui/table.js';
import { when } from '../ui/time.js';

const t = text.audit;

/** The entries of a page. */
const PAGE = 50;

/** The entries of a request of the whole check, the most that the server returns. */
const CHECK_PAGE = 1000;

/** The error of a search that found nothing among the entries that a request looks at. */
const NOTHING_FOUND_YET = 1531;

/** The ID of a certificate. */
const ID = /^[0-9a-f]{32}$/i;

/** @typedef {import('../audit-chain.js').AuditLog} AuditLog */

/**
 * The check of the whole log.
 * @typedef {object} Check
 * @property {ChainCheck} chain
 * @property {number} all The number of the newest entry.
 * @property {boolean} isRunning
 * @property {unknown} error
 * @property {AbortController} stop
 */

/**
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {AuditLog[] | null} entries The newest first.
 * @property {string} cursor Continues with older entries; empty at the end.
 * @property {Map<number, import('../audit-chain.js').Verdict>} verdicts
 * @property {unknown} error
 * @property {string | null} continuation Continues a search that found nothing yet.
 * @property {Check | null} check
 * @property {Record<string, any>} values
 * @property {string | null} user The ID of the user, once it is known.
 * @property {number} turn Counts loads: the answer of an older one is dropped.
 */

/** @type {WeakMap<import('../page.js').View, State>} */
const states = new WeakMap();

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: [],
  open(view) {
    const log = logOf(view);
    const lacking = log === 'user' ? 'User Details Read' : 'Account Settings Read';
    const state = states.get(view) ?? begin(view);
    states.set(view, state);
    if (!view.session.may(lacking)) {
      view.render(html`${tabs(view)} ${notice('warning', text.shell.lacks([lacking]))}`);
      return;
    }
    draw(state);
    void load(state);
  },
  leave(view) {
    return states.get(view)?.check?.isRunning !== true;
  },
};

/**
 * @param {import('../page.js').View} view
 * @returns {State}
 */
function begin(view) {
  return {
    view,
    entries: null,
    cursor: '',
    verdicts: new Map(),
    error: null,
    continuation: null,
    check: null,
    values: { expected: '' },
    user: null,
    turn: 0,
  };
}

/**
 * @param {import('../page.js').View} view
 * @returns {'user' | 'account'}
 */
function logOf({ query, session }) {
  if (query.has('log')) return query.get('log') === 'user' ? 'user' : 'account';
  return session.may('Account Settings Read') ? 'account' : 'user';
}

/** @param {import('../page.js').View} view */
function base(view) {
  return logOf(view) === 'user'
    ? '/certgate/v1/user/logs/audit'
    : `/client/v4/accounts/${view.account}/logs/audit`;
}

/**
 * The filters of the fragment as parameters of the API.
 * @param {import('../page.js').View} view
 * @returns {Record<string, string | null>}
 */
function filters(view) {
  const { query } = view;
  const actor = query.get('who');
  const ofAccount = logOf(view) === 'account';
  return {
    since: query.get('since'),
    before: query.get('before'),
    actor_token_id: query.get('token'),
    actor_context: actor === 'api_key' ? actor : null,
    actor_type: actor === 'system' || actor === 'offline' ? actor : null,
    'action_type.not': query.get('without'),
    certificate_id: ofAccount ? query.get('certificate') : null,
    common_name: ofAccount ? query.get('name') : null,
  };
}

/** @param {State} state */
async function load(state) {
  const { view } = state;
  state.turn += 1;
  const { turn } = state;
  const wanted = { ...filters(view), cursor: view.query.get('cursor'), limit: PAGE };
  const options = { signal: view.signal };
  try {
    const { result, result_info: info } = await view.api.get(base(view), wanted, options);
    const cursor = info?.cursor ?? '';
    // The oldest entry of the page needs the hash of the one before it.
    const before = await predecessor(state, result, cursor);
    const owner = await ownerOf(state);
    const verdicts = owner === null ? new Map() : await verify(owner, [...result, ...before]);
    if (turn !== state.turn) return;
    Object.assign(state, { entries: result, cursor, verdicts, error: null, continuation: null });
  } catch (error) {
    if (view.signal.aborted || turn !== state.turn) return;
    const isUnfinished = error instanceof ApiError && error.code === NOTHING_FOUND_YET;
    state.continuation = isUnfinished ? (error.errors[0]?.continue ?? null) : null;
    state.error = error;
    if (isUnfinished) state.entries = [];
  }
  draw(state);
}

/**
 * @param {State} state
 * @param {AuditLog[]} entries
 * @param {string} cursor
 * @returns {Promise<AuditLog[]>}
 */
async function predecessor({ view }, entries, cursor) {
  const last = entries.at(-1);
  if (!last || !cursor || globalThis.crypto?.subtle === undefined) return [];
  const wanted = { ...filters(view), cursor, limit: 1 };
  const { result } = await view.api.get(base(view), wanted, { signal: view.signal });
  return result;
}

/**
 * Returns the owner of the log, as it is hashed; `null` if the browser cannot verify hashes.
 * @param {State} state
 * @returns {Promise<string | null>}
 */
async function ownerOf(state) {
  const { view } = state;
  if (globalThis.crypto?.subtle === undefined) return null;
  if (logOf(view) === 'account') return `account:${view.account}`;
  state.user ??= (await view.api.get('/client/v4/user', {}, { signal: view.signal })).result.id;
  return `user:${state.user}`;
}

/** @param {import('../page.js').View} view */
function tabs(view) {
  const link = (/** @type {'account' | 'user'} */ log, /** @type {string} */ label) => {
    const query = new URLSearchParams({ log });
    if (view.zone) query.set('zone', view.zone.id);
    return html`<a href="#/audit?${query}" aria-current=${logOf(view) === log ? 'true' : nothing}
      >${label}</a
    >`;
  };
  return html`<nav class="tabs" aria-label=${t.logs}>
    ${link('account', t.ofAccount)} ${link('user', t.ofUser)}
  </nav>`;
}

/**
 * Changes a filter, which begins with the newest entries again.
 * @param {import('../page.js').View} view
 * @param {string} name
 * @param {string} value
 */
function filter(view, name, value) {
  const query = new URLSearchParams(view.query);
  query.delete('cursor');
  if (value) query.set(name, value);
  else query.delete(name);
  view.navigate(query);
}

/** @param {State} state */
function draw(state) {
  const { view, entries, error, continuation, cursor } = state;
  const older = (/** @type {string} */ next) => {
    const query = new URLSearchParams(view.query);
    query.set('cursor', next);
    view.navigate(query);
  };
  view.render(html`
    ${tabs(view)}
    <p>${t.intro}</p>
    ${filterForm(view)} ${filterChips(view)}
    ${
      error === null
        ? nothing
        : continuation === null
          ? errorNotice(error)
          : notice(
              'info',
              html`<p>${t.nothingYet}</p>`,
              html`<button @click=${() => older(continuation)}>${t.searchOn}</button>`,
            )
    }
    ${entries === null && error === null ? loading() : nothing}
    ${
      entries === null || continuation !== null
        ? nothing
        : html`${verdict(state, entries)} ${list(state, entries)}
            <div class="bar">
              ${
                view.query.has('cursor')
                  ? html`<button @click=${() => filter(view, 'cursor', '')}>${t.newest}</button>`
                  : nothing
              }
              ${cursor ? html`<button @click=${() => older(cursor)}>${t.older}</button>` : nothing}
            </div>`
    }
    ${wholeCheck(state)}
    ${equivalents(
      t.same,
      view.api.curl('GET', base(view) + queryText(filters(view))),
      listCommand(view),
    )}
  `);
}

/**
 * The command that lists the same entries; `undefined` if it has no such filter.
 * @param {import('../page.js').View} view
 */
function listCommand(view) {
  const { query } = view;
  if (['who', 'without', 'certificate', 'name'].some((name) => query.has(name))) return undefined;
  const option = (/** @type {string} */ name, /** @type {string} */ parameter) => {
    const value = query.get(parameter);
    return value ? [name, value] : [];
  };
  return commandLine(
    'certgate',
    'audit',
    'list',
    ...(logOf(view) === 'user' ? ['--user'] : []),
    ...option('--since', 'since'),
    ...option('--before', 'before'),
    ...option('--token-id', 'token'),
  );
}

/** @param {import('../page.js').View} view */
function filterForm(view) {
  const { query } = view;
  const change = (/** @type {string} */ name) => (/** @type {Event} */ event) =>
    filter(view, name, /** @type {HTMLInputElement} */ (event.target).value.trim());
  const date = (/** @type {string} */ name, /** @type {string} */ label) =>
    html`<label>
      <span>${label}</span>
      <input type="date" .value=${query.get(name) ?? ''} @change=${change(name)} />
    </label>`;
  /** @param {Event} event */
  const findCertificate = (event) => {
    const value = /** @type {HTMLInputElement} */ (event.target).value.trim();
    const isId = ID.test(value);
    filter(view, isId ? 'certificate' : 'name', isId ? value.toLowerCase() : value);
  };
  const actors = Object.entries(t.actors);
  const without = query.get('without') === 'issue';
  return html`<div class="filters" role="group" aria-label=${text.common.filters}>
    ${date('since', t.since)} ${date('before', t.before)}
    <label>
      <span>${t.who}</span>
      <select @change=${change('who')}>
        ${actors.map(
          ([value, label]) =>
            html`<option value=${value} ?selected=${value === (query.get('who') ?? '')}>
              ${label}
            </option>`,
        )}
      </select>
    </label>
    ${
      logOf(view) === 'account'
        ? html`<label>
              <span>${t.certificateName}</span>
              <input
                type="search"
                class="short"
                .value=${query.get('name') ?? ''}
                @change=${findCertificate}
              />
            </label>
            <label class="check">
              <input
                type="checkbox"
                .checked=${without}
                @change=${() => filter(view, 'without', without ? '' : 'issue')}
              />
              <span>${t.withoutIssue}</span>
            </label>`
        : nothing
    }
  </div>`;
}

/** @param {import('../page.js').View} view */
function filterChips(view) {
  const some = /** @type {const} */ ([
    ['token', t.byToken],
    ['certificate', t.aboutCertificate],
  ]);
  return chips(
    some.flatMap(([name, label]) => {
      const value = view.query.get(name);
      return value ? [{ label: label(value), remove: () => filter(view, name, '') }] : [];
    }),
  );
}

/**
 * Says whether the entries of the page are intact.
 * @param {State} state
 * @param {AuditLog[]} entries
 */
function verdict({ verdicts }, entries) {
  if (entries.length === 0) return nothing;
  if (verdicts.size === 0) return notice('info', t.noCrypto);
  const numbers = (/** @type {string} */ wanted) =>
    entries
      .map(({ certgate }) => certgate.number)
      .filter((number) => verdicts.get(number) === wanted);
  const changed = numbers('changed');
  if (changed.length > 0) return notice('error', t.changed(changed));
  const unlinked = numbers('unlinked').length;
  const intact = numbers('intact').length;
  if (unlinked > 0) return notice('info', t.partlyIntact(intact, unlinked));
  return notice('success', t.intact(intact));
}

/**
 * @param {State} state
 * @param {AuditLog[]} entries
 */
function list(state, entries) {
  const { view, verdicts } = state;
  const columns = [
    {
      title: t.number,
      isNumber: true,
      className: 'tight',
      cell: (/** @type {AuditLog} */ { certgate }) => {
        const found = verdicts.get(certgate.number);
        return html`<span
          >${found ? mark(found) : nothing}
          <span title=${certgate.hash}>${certgate.number}</span></span
        >`;
      },
    },
    {
      title: t.time,
      className: 'tight',
      cell: (/** @type {AuditLog} */ { action }) => when(action.time, 'second'),
    },
    { title: t.who, cell: (/** @type {AuditLog} */ entry) => who(view, entry) },
    { title: t.what, isHeader: true, cell: (/** @type {AuditLog} */ entry) => what(view, entry) },
    {
      title: t.detail,
      cell: (/** @type {AuditLog} */ { certgate }) =>
        certgate.detail
          ? html`<span class="mono">${foreign(certgate.detail, 120)}</span>`
          : nothing,
    },
  ];
  return table({
    caption: t.title,
    columns,
    rows: entries,
    key: ({ certgate }) => certgate.number,
    empty: empty(t.none),
  });
}

/** @param {import('../audit-chain.js').Verdict} found */
function mark(found) {
  const marks = { intact: ['✔', 'good'], changed: ['✖', 'bad'], unlinked: ['○', 'quiet'] };
  const [symbol, kind] = marks[found];
  return html`<span class="badge ${kind}" title=${t.verdicts[found] ?? found}
    ><span aria-hidden="true">${symbol}</span
    ><span class="unseen">${t.verdicts[found] ?? found}</span></span
  >`;
}

/**
 * @param {import('../page.js').View} view
 * @param {AuditLog} entry
 */
function who(view, { actor, zone }) {
  const address = actor.ip_address
    ? html`<div class="hint mono address">${actor.ip_address}</div>`
    : nothing;
  if (actor.token_id) {
    const query = new URLSearchParams(view.query);
    query.delete('cursor');
    query.set('token', actor.token_id);
    if (view.zone) query.set('zone', view.zone.id);
    const name = actor.token_name ? foreign(actor.token_name) : t.deletedToken(actor.token_id);
    return html`<div><a href="#/audit?${query}" title=${t.onlyThis}>${name}</a>${address}</div>`;
  }
  const enrolled = t.enrolled[actor.type];
  if (enrolled !== undefined && actor.id) {
    const id = html`<span class="mono short-id">…${actor.id.slice(-8)}</span>`;
    const holder = { id: actor.id, product: '', type: 'client_certificate' };
    const link = actor.type === 'certificate' ? linkOf(view, holder, zone?.id ?? '') : '';
    return html`<div>
      ${enrolled}
      ${
        link
          ? html`<a href=${link} title=${actor.id}>${id}</a>`
          : html`<span title=${actor.id}>${id}</span>`
      }
      ${address}
    </div>`;
  }
  const name = actor.context === 'api_key' ? t.actors['api_key'] : t.actors[actor.type];
  return html`<div>${name ?? actor.type}${address}</div>`;
}

/**
 * @param {import('../page.js').View} view
 * @param {AuditLog} entry
 */
function what(view, { action, resource, zone }) {
  const verb = t.verbs[action.type] ?? action.type;
  const object = t.objects[resource.type] ?? resource.type;
  const link = linkOf(view, resource, zone?.id ?? view.zone?.id ?? '');
  const id = html`<span class="mono short-id">…${resource.id.slice(-8)}</span>`;
  return html`<div>
    ${verb} ${object}
    ${link
      ? html`<a href=${link} title=${resource.id}>${id}</a>`
      : html`<span title=${resource.id}>${id}</span>`}
    ${
      zone && resource.type !== 'zone'
        ? html`<div class="hint">${t.inZone(zone.name ?? zone.id)}</div>`
        : nothing
    }
  </div>`;
}

/**
 * @param {import('../page.js').View} view
 * @param {AuditLog['resource']} resource
 * @param {string} zone
 * @returns {string} empty if no page shows such an object
 */
function linkOf(view, { id, type }, zone) {
  const ofAccount = logOf(view) === 'account';
  const paths = /** @type {Record<string, string>} */ ({
    client_certificate: `certificates/${id}`,
    managed_authority: 'cas',
    mtls_certificate: 'cas',
    hostname_associations: 'hostnames',
    enforcement_point: 'enforcement-points',
    zone: 'zones',
    api_token: `tokens/${id}`,
  });
  const path = paths[type];
  if (path === undefined) return '';
  const query = new URLSearchParams(type === 'api_token' && ofAccount ? { of: 'account' } : {});
  if (zone) query.set('zone', zone);
  return `#/${path}?${query}`;
}

/** @param {State} state */
function wholeCheck(state) {
  const { view, check, values } = state;
  if (globalThis.crypto?.subtle === undefined) return nothing;
  const verifyLine = commandLine(
    'certgate',
    'audit',
    'verify',
    ...(values['expected'].trim() ? ['--expect', values['expected'].trim()] : []),
  );
  return html`<section class="panel" aria-labelledby="whole-check">
    <h2 id="whole-check">${t.whole}</h2>
    <p>${t.wholeHint}</p>
    ${textField({ values, changed: () => draw(state) }, 'expected', {
      label: t.expected,
      hint: t.expectedHint,
      isCode: true,
      isDisabled: check?.isRunning ?? false,
    })}
    <div class="actions">
      ${
        check?.isRunning
          ? html`<button @click=${() => check.stop.abort()}>${t.stop}</button>`
          : html`<button @click=${() => runCheck(state)}>${t.wholeAction}</button>`
      }
    </div>
    <div aria-live="polite">${check === null ? nothing : checkResult(check)}</div>
    ${equivalents(t.sameVerify, view.api.curl('GET', `${base(view)}?direction=asc`), verifyLine)}
  </section>`;
}

/** @param {Check} check */
function checkResult({ chain, all, isRunning, error, stop }) {
  if (error !== null) return errorNotice(error);
  if (chain.broken !== null) {
    const { number, problem } = chain.broken;
    return notice('error', t.broken[problem]?.(number) ?? problem);
  }
  if (isRunning) return progress({ label: t.checking, done: chain.checked, all });
  if (stop.signal.aborted) return notice('info', t.stopped(chain.checked));
  const head = `${chain.owner.split(':')[1]}:${chain.checked}:${chain.head}`;
  return html`${notice('success', t.wholeIntact(chain.checked, chain.expected !== null))}
    ${command(t.head, head)}
    <p class="hint">${t.headHint}</p>`;
}

/** @param {State} state */
async function runCheck(state) {
  const { view, values } = state;
  const stop = new AbortController();
  const signal = AbortSignal.any([view.signal, stop.signal]);
  const path = base(view);
  /** @type {Check | null} */
  let check = null;
  try {
    const newest = await view.api.get(path, { limit: 1 }, { signal });
    let part = await view.api.get(path, { limit: CHECK_PAGE, direction: 'asc' }, { signal });
    const owner = (await ownerOf(state)) ?? '';
    const expected = values['expected'].trim() ? headOf(values['expected'], owner) : null;
    if (expected === null && values['expected'].trim()) {
      state.error = new Error(t.notAHead);
      draw(state);
      return;
    }
    const all = newest.result[0]?.certgate.number ?? 0;
    check = { chain: new ChainCheck(owner, expected), all, isRunning: true, error: null, stop };
    state.check = check;
    state.error = null;
    for (;;) {
      await check.chain.add(part.result);
      signal.throwIfAborted();
      draw(state);
      const cursor = part.result_info?.cursor;
      if (!cursor || check.chain.broken !== null) break;
      const wanted = { limit: CHECK_PAGE, direction: 'asc', cursor };
      part = await view.api.get(path, wanted, { signal });
    }
    check.chain.end();
  } catch (error) {
    if (view.signal.aborted) return;
    if (check === null) state.error = error;
    else if (!stop.signal.aborted) check.error = error;
  }
  if (check !== null) check.isRunning = false;
  draw(state);
}
