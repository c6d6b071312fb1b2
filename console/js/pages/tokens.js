/** The tokens of the user or of the account. */

import { html, nothing } from '../../vendor/lit-html.js';
import { text } from '../text.js';
import * as owner from '../tokens/owner.js';
import { newSecret, secretBox } from '../tokens/secret.js';
import { permissionNames, places, roleOf } from '../tokens/summary.js';
import { foreign } from '../ui/certificate-name.js';
import { equivalents } from '../ui/copy.js';
import { confirm, openDialog } from '../ui/dialog.js';
import { badge, empty, errorNotice, loading, notice } from '../ui/notice.js';
import { pager } from '../ui/pager.js';
import { table } from '../ui/table.js';
import { ago } from '../ui/time.js';

const t = text.tokens;

/** The tokens of a page; the server returns at most 50. */
const TOKENS_PER_PAGE = 50;

/** The permissions that the list names; a token can have 20. */
const NAMES_MAX = 3;

const KEY_PATH = '/certgate/v1/user/api_key';

const BADGES = /** @type {const} */ ({ active: 'good', disabled: 'quiet', expired: 'bad' });

/** @typedef {import('../tokens/summary.js').Token} Token */

/**
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {boolean} isOfAccount
 * @property {{tokens: Token[], info: import('../types.js').ResultInfo} | null} page
 * @property {import('../roles.js').PermissionGroup[]} groups
 * @property {unknown} error
 * @property {string} done
 */

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: [],
  open(view) {
    const mayBoth = [view.session.may('API Tokens Read'), mayAccount(view)];
    const isOfAccount = view.query.has('of') ? owner.isOfAccount(view) : !mayBoth[0];
    /** @type {State} */
    const state = { view, isOfAccount, page: null, groups: [], error: null, done: '' };
    if (!(isOfAccount ? mayBoth[1] : mayBoth[0])) {
      const lacking = owner.permission(isOfAccount, 'Read');
      view.render(html`${tabs(state)} ${notice('warning', text.shell.lacks([lacking]))}`);
      return;
    }
    draw(state);
    void load(state);
  },
};

/** @param {import('../page.js').View} view */
function mayAccount({ session }) {
  return session.may('Account API Tokens Read');
}

/** @param {State} state */
function base({ view, isOfAccount }) {
  return owner.pathOf(view, isOfAccount);
}

/** @param {State} state */
async function load(state) {
  const { api, query, signal } = state.view;
  const wanted = { page: query.get('page') ?? 1, per_page: TOKENS_PER_PAGE, direction: 'desc' };
  try {
    const [tokens, groups] = await Promise.all([
      api.get(base(state), wanted, { signal }),
      api.get(`${base(state)}/permission_groups`, {}, { signal }),
    ]);
    state.page = { tokens: tokens.result, info: tokens.result_info };
    state.groups = groups.result;
    state.error = null;
  } catch (error) {
    if (signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/** @param {State} state */
function tabs({ view, isOfAccount }) {
  const link = (/** @type {boolean} */ ofAccount, /** @type {string} */ label) => {
    const query = new URLSearchParams({ of: ofAccount ? 'account' : 'user' });
    if (view.zone) query.set('zone', view.zone.id);
    return html`<a
      href="#/tokens?${query}"
      aria-current=${ofAccount === isOfAccount ? 'true' : nothing}
      >${label}</a
    >`;
  };
  return html`<nav class="tabs" aria-label=${t.owners}>
    ${link(false, t.ofUser)} ${link(true, t.ofAccount)}
  </nav>`;
}

/** @param {State} state */
function draw(state) {
  const { view, page: shown, error, done, isOfAccount } = state;
  const write = owner.permission(isOfAccount, 'Write');
  const mayWrite = view.session.may(write);
  const query = owner.queryOf(state);
  view.render(html`
    ${tabs(state)} ${done ? notice('success', done) : nothing}
    ${error === null ? nothing : errorNotice(error)}
    <p>${isOfAccount ? t.introOfAccount : t.introOfUser}</p>
    <div class="bar">
      ${
        mayWrite
          ? html`<a class="button primary" href="#/tokens/new?${query}">${t.create}</a>`
          : html`<span class="hint">${t.readOnly(write)}</span>`
      }
    </div>
    ${shown === null && error === null ? loading() : nothing}
    ${shown === null ? nothing : list(state, shown, query)}
    ${isOfAccount || !mayWrite ? nothing : apiKey(state)}
  `);
}

/**
 * @param {State} state
 * @param {{tokens: Token[], info: import('../types.js').ResultInfo}} shown
 * @param {URLSearchParams} query
 */
function list(state, { tokens, info }, query) {
  const { view } = state;
  const columns = [
    {
      title: t.name,
      isHeader: true,
      cell: (/** @type {Token} */ token) =>
        html`<div>
          <a href="#/tokens/${token.id}?${query}">${foreign(token.name)}</a>
          ${
            token.id === view.session.caller?.id
              ? html`<div class="hint">${t.thisToken}</div>`
              : nothing
          }
        </div>`,
    },
    {
      title: t.status,
      cell: (/** @type {Token} */ { status }) => badge(BADGES[status], t.states[status] ?? status),
    },
    { title: t.permissions, cell: (/** @type {Token} */ token) => permissions(state, token) },
    { title: t.where, cell: (/** @type {Token} */ token) => where(state, token) },
    {
      title: t.expires,
      cell: (/** @type {Token} */ token) =>
        token.expires_on ? ago(token.expires_on) : text.common.never,
    },
    {
      title: t.lastUsed,
      cell: (/** @type {Token} */ token) =>
        token.last_used_on ? ago(token.last_used_on) : text.common.never,
    },
  ];
  return html`${table({
    caption: t.title,
    columns,
    rows: tokens,
    key: ({ id }) => id,
    empty: empty(t.none),
  })}
  ${
    info.total_pages > 1
      ? pager({
          info,
          go: (to) => {
            const next = new URLSearchParams(view.query);
            next.set('page', String(to));
            view.navigate(next);
          },
        })
      : nothing
  }
  ${equivalents(
    t.sameList,
    view.api.curl('GET', base(state)),
    state.isOfAccount ? undefined : 'certgate token list',
  )}`;
}

/**
 * @param {State} state
 * @param {Token} token
 */
function permissions({ groups }, token) {
  const role = roleOf(token, groups);
  const rules = token.issuance_rules ? html`<div class="hint">${t.hasRules}</div>` : nothing;
  if (role !== null) return html`<div>${t.roles[role]} ${rules}</div>`;
  const names = token.policies.flatMap((policy) =>
    permissionNames(policy).map((name) => (policy.effect === 'deny' ? t.denied(name) : name)),
  );
  const shown = names.slice(0, NAMES_MAX).join(', ');
  const more = names.length - NAMES_MAX;
  return html`<div>${shown}${more > 0 ? t.more(more) : nothing} ${rules}</div>`;
}

/**
 * @param {State} state
 * @param {Token} token
 */
function where({ view }, { policies }) {
  const all = policies.flatMap((policy) => places(policy, view.session.zones));
  const some = [...new Set(all)].filter((one) => one !== t.user);
  const shown = some.slice(0, NAMES_MAX).join(', ') || t.user;
  return some.length > NAMES_MAX ? `${shown}${t.more(some.length - NAMES_MAX)}` : shown;
}

/** @param {State} state */
function apiKey(state) {
  const { view } = state;
  const create = async () => {
    const question = { title: t.keyTitle, body: t.keyBody, action: t.keyAction, isDanger: true };
    if (!(await confirm({ ...question, signal: view.signal }))) return;
    try {
      const { result } = await view.api.put(KEY_PATH);
      const secret = newSecret(`${result.email}.key`, result.api_key);
      await openDialog(
        t.keyMade(result.email),
        (close, redraw) =>
          html`${secretBox(secret, redraw)}
            <div class="actions">
              <button @click=${() => close(null)}>${text.common.close}</button>
            </div>`,
        view.signal,
      );
    } catch (error) {
      state.error = error;
      draw(state);
    }
  };
  const remove = async () => {
    const question = { title: t.keyRemoveTitle, body: t.keyRemoveBody, action: t.removeAction };
    if (!(await confirm({ ...question, isDanger: true, signal: view.signal }))) return;
    try {
      await view.api.delete(KEY_PATH);
      state.error = null;
      state.done = t.keyRemoved;
    } catch (error) {
      state.error = error;
    }
    draw(state);
  };
  return html`<details class="more">
    <summary>${t.key}</summary>
    <p>${t.keyHint}</p>
    <div class="actions">
      <button @click=${create}>${t.keyCreate}</button>
      <button class="quiet" @click=${remove}>${t.keyRemove}</button>
    </div>
    ${equivalents(t.same, view.api.curl('PUT', KEY_PATH), 'certgate token api-key create')}
  </details>`;
}
