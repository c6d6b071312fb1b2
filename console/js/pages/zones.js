/** The zones that the token sees. */

import { html, nothing } from '../../vendor/lit-html.js';
import { commandLine } from '../shell-words.js';
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

const t = text.zones;

const PATH = '/client/v4/zones';

/** The zones of a page; the server returns at most 50. */
const ZONES_PER_PAGE = 50;

/** Longest domain name, in octets. */
const NAME_MAX = 253;

/**
 * @typedef {object} Zone
 * @property {string} id
 * @property {string} name
 * @property {string} created_on
 * @property {{id: string, name: string}} account
 */

/**
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {{zones: Zone[], info: import('../types.js').ResultInfo} | null} page
 * @property {unknown} error
 * @property {string} done
 */

/** @type {WeakMap<import('../page.js').View, State>} */
const states = new WeakMap();

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: ['Zone Read'],
  open(view) {
    const state = states.get(view) ?? { view, page: null, error: null, done: '' };
    states.set(view, state);
    draw(state);
    void load(state);
  },
};

/** @param {State} state */
async function load(state) {
  const { api, query, signal } = state.view;
  try {
    const wanted = {
      page: query.get('page') ?? 1,
      per_page: ZONES_PER_PAGE,
      order: 'name',
      name: query.get('name') ? `contains:${query.get('name')}` : null,
    };
    const { result, result_info: info } = await api.get(PATH, wanted, { signal });
    state.page = { zones: result, info };
    state.error = null;
  } catch (error) {
    if (signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/** @param {State} state */
function draw(state) {
  const { view, page: shown, error, done } = state;
  const { session } = view;
  const columns = [
    {
      title: t.name,
      isHeader: true,
      cell: (/** @type {Zone} */ zone) =>
        html`<a href="#/certificates?zone=${zone.id}"><bdi>${zone.name}</bdi></a>`,
    },
    {
      title: t.id,
      cell: (/** @type {Zone} */ zone) =>
        html`<div><span class="mono">${zone.id}</span> ${copyButton(zone.id, t.copyId)}</div>`,
    },
    { title: t.account, cell: (/** @type {Zone} */ zone) => foreign(zone.account.name) },
    { title: t.created, cell: (/** @type {Zone} */ zone) => when(zone.created_on, 'day') },
    {
      title: text.common.actions,
      hideTitle: true,
      className: 'tight',
      cell: (/** @type {Zone} */ zone) =>
        html`<div class="row-actions">
          <a class="button" href="#/rules?zone=${zone.id}">${text.rules.title}</a>
          ${
            session.may('Zone Write', { zone: zone.id, account: zone.account.id })
              ? html`<button class="quiet" @click=${() => run(state, remove(state, zone))}>
                  ${t.remove}
                </button>`
              : nothing
          }
        </div>`,
    },
  ];
  const query = view.query.get('name') ?? '';
  /** @param {Event} event */
  const search = (event) => {
    const next = new URLSearchParams(view.query);
    next.delete('page');
    next.set('name', /** @type {HTMLInputElement} */ (event.target).value.trim());
    if (!next.get('name')) next.delete('name');
    view.navigate(next, { replace: true });
  };
  view.render(html`
    ${done ? notice('success', done) : nothing} ${error === null ? nothing : errorNotice(error)}
    <p>${t.intro}</p>
    <div class="bar">
      <label class="grow">
        <span class="unseen">${t.search}</span>
        <input type="search" placeholder=${t.search} .value=${query} @change=${search} />
      </label>
      ${
        session.may('Zone Write')
          ? html`<button @click=${() => run(state, create(state))}>${t.create}</button>`
          : nothing
      }
    </div>
    ${shown === null && error === null ? loading() : nothing}
    ${
      shown === null
        ? nothing
        : html`${table({
            caption: t.title,
            columns,
            rows: shown.zones,
            key: ({ id }) => id,
            empty: empty(t.none),
          })}
          ${
            shown.info.total_pages > 1
              ? pager({
                  info: shown.info,
                  go: (to) => {
                    const next = new URLSearchParams(view.query);
                    next.set('page', String(to));
                    view.navigate(next);
                  },
                })
              : nothing
          }
          ${equivalents(t.sameList, view.api.curl('GET', PATH), 'certgate zone list')}`
    }
  `);
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
  await state.view.session.refreshZones();
  await load(state);
}

/** @param {State} state */
async function create(state) {
  const { view } = state;
  const accounts = new Map(
    view.session.zones.flatMap(({ account }) =>
      account ? [/** @type {const} */ ([account.id, account.name])] : [],
    ),
  );
  /** @param {Record<string, any>} values */
  const bodyOf = ({ name, account }) => ({
    name: name.trim(),
    ...(account ? { account: { id: account } } : {}),
  });
  const made = await formDialog(
    {
      title: t.createTitle,
      values: { name: '', account: view.account ?? '' },
      action: t.createAction,
      isReady: ({ name }) => name.trim() !== '',
      body: (form) => {
        const { name, account } = form.values;
        const words = ['certgate', 'zone', 'create', name.trim() || 'example.org'];
        if (accounts.size > 1) words.push('--account', account);
        return html`<p>${t.createHint}</p>
          ${textField(form, 'name', {
            label: t.name,
            hint: t.nameHint,
            maxLength: NAME_MAX,
            isRequired: true,
          })}
          ${
            accounts.size > 1
              ? selectField(form, 'account', { label: t.account, choices: [...accounts] })
              : nothing
          }
          ${equivalents(
            t.same,
            view.api.curl('POST', PATH, bodyOf(form.values)),
            commandLine(...words),
          )}`;
      },
      submit: async (values) => (await view.api.post(PATH, bodyOf(values))).result,
    },
    view.signal,
  );
  return made === null ? null : t.createdDone(made.name);
}

/**
 * @param {State} state
 * @param {Zone} zone
 */
async function remove(state, zone) {
  const { view } = state;
  const path = `${PATH}/${zone.id}`;
  const made = await formDialog(
    {
      title: t.removeTitle(named(zone.name)),
      values: { typed: '' },
      action: t.removeAction,
      isDanger: true,
      isReady: ({ typed }) => typed.trim() === zone.name,
      body: (form) =>
        html`<p>${t.removeHint}</p>
          ${textField(form, 'typed', { label: t.typeName(zone.name) })}
          ${equivalents(
            t.same,
            view.api.curl('DELETE', path),
            commandLine('certgate', 'zone', 'delete', zone.name),
          )}`,
      submit: async () => (await view.api.delete(path)).result ?? true,
    },
    view.signal,
  );
  return made === null ? null : t.removed(named(zone.name));
}
