/** The user, and the accounts that the token sees. */

import { html, nothing } from '../../vendor/lit-html.js';
import { text } from '../text.js';
import { foreign } from '../ui/certificate-name.js';
import { copyButton, equivalents } from '../ui/copy.js';
import { selectField, textField } from '../ui/form.js';
import { formDialog } from '../ui/form-dialog.js';
import { named } from '../ui/named.js';
import { empty, errorNotice, loading, notice } from '../ui/notice.js';
import { pager } from '../ui/pager.js';
import { table } from '../ui/table.js';
import { when } from '../ui/time.js';

const t = text.accounts;

const ACCOUNTS = '/client/v4/accounts';
const USER = '/client/v4/user';

/** The accounts of a page; the server returns at most 50. */
const ACCOUNTS_PER_PAGE = 50;

/** The longest name of an account, in characters. */
const NAME_MAX = 100;

/** The key of a CA unless the user chooses another one: that of `authority_algorithm`. */
const SERVER_DEFAULT = '';

/** The details of the user that can change, with their longest values in characters. */
const DETAILS = /** @type {const} */ ([
  ['first_name', 60],
  ['last_name', 60],
  ['telephone', 20],
  ['country', 30],
  ['zipcode', 20],
]);

/**
 * @typedef {object} Account
 * @property {string} id
 * @property {string} name
 * @property {string} created_on
 * @property {string} authority_algorithm
 *
 * @typedef {Record<typeof DETAILS[number][0], string | null> & {
 *   id: string, email: string, created_on: string }} User
 *
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {User | null} user
 * @property {{ accounts: Account[], info: import('../types.js').ResultInfo } | null} page
 * @property {unknown} error
 * @property {string} done
 */

/** @type {WeakMap<import('../page.js').View, State>} */
const states = new WeakMap();

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: [],
  open(view) {
    const state = states.get(view) ?? { view, user: null, page: null, error: null, done: '' };
    states.set(view, state);
    draw(state);
    void load(state);
  },
};

/** @param {State} state */
async function load(state) {
  const { api, query, session, signal } = state.view;
  const wanted = { page: query.get('page') ?? 1, per_page: ACCOUNTS_PER_PAGE };
  try {
    const [accounts, user] = await Promise.all([
      mayReadAccounts(state) ? api.get(ACCOUNTS, wanted, { signal }) : null,
      session.may('User Details Read') ? api.get(USER, {}, { signal }) : null,
    ]);
    state.page = accounts && { accounts: accounts.result, info: accounts.result_info };
    state.user = user?.result ?? null;
    state.error = null;
  } catch (error) {
    if (signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/** @param {State} state */
function mayReadAccounts({ view }) {
  return view.session.has('Account Settings Read');
}

/** @param {State} state */
function draw(state) {
  const { view, error, done } = state;
  view.render(html`
    ${done ? notice('success', done) : nothing} ${error === null ? nothing : errorNotice(error)}
    ${accountsSection(state)} ${userSection(state)}
  `);
}

/** @param {State} state */
function accountsSection(state) {
  const { view, page: shown, error } = state;
  const { api, session } = view;
  const mayCreate = session.mayEverywhere('Account Settings Write');
  if (!mayReadAccounts(state)) {
    return html`<section aria-labelledby="accounts">
      <h2 id="accounts">${t.accounts}</h2>
      <p class="hint">${text.shell.lacks(['Account Settings Read'])}</p>
    </section>`;
  }
  return html`<section aria-labelledby="accounts">
    <h2 id="accounts">${t.accounts}</h2>
    <p>${t.intro}</p>
    <div class="bar">
      ${
        mayCreate
          ? html`<button @click=${() => run(state, create(state))}>${t.create}</button>`
          : html`<span class="hint">${t.createLacks}</span>`
      }
    </div>
    ${shown === null && error === null ? loading() : nothing}
    ${
      shown === null
        ? nothing
        : html`${table({
            caption: t.accounts,
            columns: columns(state),
            rows: shown.accounts,
            key: ({ id }) => id,
            empty: empty(t.none),
          })}
          ${
            shown.info.total_pages > 1
              ? pager({
                  info: shown.info,
                  go: (to) => view.navigate(new URLSearchParams({ page: String(to) })),
                })
              : nothing
          }
          ${equivalents(t.sameList, api.curl('GET', ACCOUNTS))}`
    }
  </section>`;
}

/**
 * @param {State} state
 * @returns {import('../ui/table.js').Column<Account>[]}
 */
function columns(state) {
  const { session, account: present } = state.view;
  return [
    {
      title: t.name,
      isHeader: true,
      cell: ({ id, name }) =>
        html`<div>
          ${foreign(name)}
          ${id === present ? html`<div class="hint">${t.present}</div>` : nothing}
        </div>`,
    },
    {
      title: t.id,
      cell: ({ id }) =>
        html`<div><span class="mono">${id}</span> ${copyButton(id, t.copyId)}</div>`,
    },
    { title: t.key, cell: ({ authority_algorithm: algorithm }) => algorithm },
    { title: t.created, cell: ({ created_on: time }) => when(time, 'day') },
    {
      title: text.common.actions,
      hideTitle: true,
      className: 'tight',
      cell: (row) =>
        session.may('Account Settings Write', { account: row.id })
          ? html`<div class="row-actions">
              <button @click=${() => run(state, rename(state, row))}>${t.rename}</button>
              <button class="quiet" @click=${() => run(state, remove(state, row))}>
                ${t.remove}
              </button>
            </div>`
          : nothing,
    },
  ];
}

/** @param {State} state */
function userSection(state) {
  const { view, user, error } = state;
  const { api, session } = view;
  const mayChange = session.may('User Details Write');
  if (!session.may('User Details Read')) {
    return html`<section class="panel" aria-labelledby="user">
      <h2 id="user">${t.user}</h2>
      <p class="hint">${text.shell.lacks(['User Details Read'])}</p>
    </section>`;
  }
  if (user === null) return error === null ? loading() : nothing;
  return html`<section class="panel" aria-labelledby="user">
    <h2 id="user">${t.user}</h2>
    <p>${t.userIntro}</p>
    <dl class="facts">
      <dt>${t.email}</dt>
      <dd>${foreign(user.email)}</dd>
      ${DETAILS.map(([name]) =>
        user[name]
          ? html`<dt>${t.details[name]}</dt>
              <dd>${foreign(user[name])}</dd>`
          : nothing,
      )}
      <dt>${t.id}</dt>
      <dd class="mono">${user.id} ${copyButton(user.id, t.copyId)}</dd>
      <dt>${t.created}</dt>
      <dd>${when(user.created_on)}</dd>
    </dl>
    <div class="actions">
      ${
        mayChange
          ? html`<button @click=${() => run(state, changeUser(state, user))}>
              ${t.changeUser}
            </button>`
          : html`<span class="hint">${t.userReadOnly}</span>`
      }
    </div>
    ${equivalents(t.sameUser, api.curl('GET', USER))}
  </section>`;
}

/**
 * @param {State} state
 * @param {Promise<string | null>} action Its sentence; `null` if the user cancelled it.
 */
async function run(state, action) {
  const done = await action;
  if (done === null) return;
  state.done = done;
  state.view.announce(done);
  await load(state);
}

/** @param {State} state */
async function create({ view }) {
  /** @param {Record<string, any>} values */
  const bodyOf = ({ name, algorithm }) => ({
    name: name.trim(),
    ...(algorithm === SERVER_DEFAULT ? {} : { authority_algorithm: algorithm }),
  });
  const made = await formDialog(
    {
      title: t.createTitle,
      values: { name: '', algorithm: SERVER_DEFAULT },
      action: t.createAction,
      isReady: ({ name }) => name.trim() !== '',
      body: (form) =>
        html`${textField(form, 'name', { label: t.name, maxLength: NAME_MAX, isRequired: true })}
        ${selectField(form, 'algorithm', {
          label: t.key,
          hint: t.keyHint,
          choices: [
            [SERVER_DEFAULT, t.keyOfServer],
            .../** @type {[string, string][]} */ (Object.entries(text.authorities.algorithms)),
          ],
        })}
        ${equivalents(t.same, view.api.curl('POST', ACCOUNTS, bodyOf(form.values)))}`,
      submit: async (values) => (await view.api.post(ACCOUNTS, bodyOf(values))).result,
    },
    view.signal,
  );
  return made === null ? null : t.createdDone(named(made.name));
}

/**
 * @param {State} state
 * @param {Account} account
 */
async function rename({ view }, account) {
  const path = `${ACCOUNTS}/${account.id}`;
  const bodyOf = (/** @type {Record<string, any>} */ { name }) => ({ name: name.trim() });
  const made = await formDialog(
    {
      title: t.renameTitle(named(account.name)),
      values: { name: account.name },
      action: t.renameAction,
      isReady: ({ name }) => name.trim() !== '' && name.trim() !== account.name,
      body: (form) =>
        html`${textField(form, 'name', { label: t.name, maxLength: NAME_MAX, isRequired: true })}
        ${equivalents(t.same, view.api.curl('PUT', path, bodyOf(form.values)))}`,
      submit: async (values) => (await view.api.put(path, bodyOf(values))).result,
    },
    view.signal,
  );
  return made === null ? null : t.renamed(named(made.name));
}

/**
 * @param {State} state
 * @param {Account} account
 */
async function remove({ view }, account) {
  const path = `${ACCOUNTS}/${account.id}`;
  const made = await formDialog(
    {
      title: t.removeTitle(named(account.name)),
      values: { typed: '' },
      action: t.removeAction,
      isDanger: true,
      isReady: ({ typed }) => typed.trim() === account.name.trim(),
      body: (form) =>
        html`<p>${t.removeHint}</p>
          ${textField(form, 'typed', { label: t.typeName(named(account.name)) })}
          ${equivalents(t.same, view.api.curl('DELETE', path))}`,
      submit: async () => (await view.api.delete(path)).result ?? true,
    },
    view.signal,
  );
  return made === null ? null : t.removed(named(account.name));
}

/**
 * @param {State} state
 * @param {User} user
 */
async function changeUser({ view }, user) {
  // An empty field removes the detail.
  const bodyOf = (/** @type {Record<string, any>} */ values) =>
    Object.fromEntries(DETAILS.map(([name]) => [name, values[name].trim() || null]));
  const made = await formDialog(
    {
      title: t.changeUserTitle,
      values: Object.fromEntries(DETAILS.map(([name]) => [name, user[name] ?? ''])),
      action: t.renameAction,
      body: (form) =>
        html`${DETAILS.map(([name, maxLength]) =>
          textField(form, name, { label: t.details[name] ?? name, maxLength }),
        )}
        ${equivalents(t.same, view.api.curl('PATCH', USER, bodyOf(form.values)))}`,
      submit: async (values) => (await view.api.patch(USER, bodyOf(values))).result,
    },
    view.signal,
  );
  return made === null ? null : t.userChanged;
}
