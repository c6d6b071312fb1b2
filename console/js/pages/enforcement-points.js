/** The enforcement points of the account, and how late each is. */

import { html, nothing } from '../../vendor/lit-html.js';
import { lookAgain } from '../looks.js';
import { oneAtATime } from '../one-at-a-time.js';
import { text } from '../text.js';
import { foreign } from '../ui/certificate-name.js';
import { command, copyButton, equivalents } from '../ui/copy.js';
import { checksField, radioField, textField } from '../ui/form.js';
import { formDialog } from '../ui/form-dialog.js';
import { named } from '../ui/named.js';
import { badge, empty, errorNotice, loading, notice } from '../ui/notice.js';
import { table } from '../ui/table.js';
import { ago, when } from '../ui/time.js';

const t = text.enforcement;

const BADGES = /** @type {const} */ ({ current: 'good', lagging: 'waiting', silent: 'bad' });

/** The lease and the time until a point is forgotten, in seconds, as the server has them. */
const LEASE = { min: 5, default: 60, max: 3600 };
const FORGET = { default: 86_400, max: 2_592_000 };

/** Longest name of a point, in characters. */
const NAME_MAX = 100;

/** @typedef {import('../types.js').EnforcementPoint} Point */

/**
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {Point[] | null} points
 * @property {unknown} error
 * @property {string} done
 */

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: ['Enforcement Points Read'],
  open(view) {
    /** @type {State} */
    const state = { view, points: null, error: null, done: '' };
    const reload = oneAtATime(() => load(state));
    view.live.subscribe('refresh', () => void reload(), view.signal);
    draw(state);
    void reload();
    // The stream has changes of certificates, and no line when a point acknowledges or goes silent.
    lookAgain(reload, view.signal);
  },
};

/** @param {State} state */
function base({ view }) {
  return `/certgate/v1/accounts/${view.account}/enforcement_points`;
}

/** @param {State} state */
async function load(state) {
  const { api, signal } = state.view;
  try {
    state.points = (await api.get(base(state), {}, { signal, quiet: true })).result;
    state.error = null;
  } catch (error) {
    if (signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/** @param {State} state */
function draw(state) {
  const { view, points, error, done } = state;
  const mayWrite = view.session.may('Enforcement Points Write');
  // The server lets the owner of a point delete it, and an administrator of the account.
  const mayDelete = mayWrite || view.session.may('Account Settings Write');
  const columns = [
    {
      title: t.name,
      isHeader: true,
      cell: (/** @type {Point} */ point) =>
        html`<div>
          ${foreign(point.name)}
          <details>
            <summary>${t.details}</summary>
            <dl class="facts narrow">
              <dt>${t.id}</dt>
              <dd class="mono">${point.id} ${copyButton(point.id, t.copyId)}</dd>
              <dt>${t.registered}</dt>
              <dd>${when(point.registered_on)}</dd>
              <dt>${t.leaseShort}</dt>
              <dd>${t.seconds(point.lease_seconds)}</dd>
              <dt>${t.forgetShort}</dt>
              <dd>${t.seconds(point.forget_seconds)}</dd>
              <dt>${t.acknowledged}</dt>
              <dd>${t.epochOf(point.acknowledged_epoch, point.last_epoch)}</dd>
            </dl>
          </details>
        </div>`,
    },
    {
      title: t.status,
      cell: (/** @type {Point} */ point) =>
        html`<div>
          ${badge(BADGES[point.status], t.states[point.status] ?? point.status)}
          <div class="hint">${t.stateHints[point.status]}</div>
        </div>`,
    },
    {
      title: t.covers,
      cell: (/** @type {Point} */ { covers }) =>
        covers.map((one) => t.coverage[one] ?? one).join(', '),
    },
    {
      title: t.whenStale,
      cell: (/** @type {Point} */ point) => t.stale[point.when_stale] ?? point.when_stale,
    },
    { title: t.seen, cell: (/** @type {Point} */ point) => ago(point.seen_on) },
    {
      title: text.common.actions,
      hideTitle: true,
      className: 'tight',
      cell: (/** @type {Point} */ point) =>
        mayDelete
          ? html`<div class="row-actions">
              <button class="quiet" @click=${() => run(state, remove(state, point))}>
                ${t.remove}
              </button>
            </div>`
          : nothing,
    },
  ];
  view.render(html`
    ${done ? notice('success', done) : nothing} ${error === null ? nothing : errorNotice(error)}
    <p>${t.intro}</p>
    ${points === null && error === null ? loading() : nothing}
    ${
      points === null
        ? nothing
        : html`${waiting(points)}
            ${table({
              caption: t.title,
              columns,
              rows: points,
              key: ({ id }) => id,
              empty: empty(t.none, html`<p>${t.noneHint}</p>`),
            })}
            <div class="actions">
              ${
                mayWrite
                  ? html`<button @click=${() => run(state, register(state))}>${t.register}</button>`
                  : html`<span class="hint">${t.readOnly}</span>`
              }
            </div>
            <details>
              <summary>${t.start}</summary>
              <p>${t.startHint}</p>
              ${command(t.gateway, 'certgate gateway --config gateway.toml')}
              ${command(t.authz, 'certgate authz --config authz.toml')}
              ${command(t.follow, "certgate follow /etc/nginx/certgate --exec 'nginx -s reload'")}
            </details>
            ${equivalents(t.sameList, view.api.curl('GET', base(state)), 'certgate status')}`
    }
  `);
}

/** @param {Point[]} points */
function waiting(points) {
  const lagging = points.filter(({ status }) => status === 'lagging');
  const silent = points.filter(({ status }) => status === 'silent');
  return html`
    ${lagging.length > 0 ? notice('info', t.laggingNotice(lagging.length)) : nothing}
    ${silent.length > 0 ? notice('warning', t.silentNotice(silent.length)) : nothing}
  `;
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
async function register(state) {
  const { view } = state;
  const values = {
    name: '',
    covers: new Set(['requests']),
    stale: 'refuse',
    lease: String(LEASE.default),
    forget: String(FORGET.default),
  };
  /** @param {Record<string, any>} form */
  const bodyOf = ({ name, covers, stale, lease, forget }) => ({
    name: name.trim(),
    lease_seconds: Number(lease),
    covers: [...covers],
    when_stale: stale,
    forget_seconds: Number(forget),
  });
  const choices = (/** @type {Record<string, string>} */ words) => Object.entries(words);
  const made = await formDialog(
    {
      title: t.registerTitle,
      values,
      action: t.registerAction,
      isReady: ({ name, covers }) => name.trim() !== '' && covers.size > 0,
      body: (form) =>
        html`<p>${t.registerHint}</p>
          ${textField(form, 'name', { label: t.name, maxLength: NAME_MAX, isRequired: true })}
          ${checksField(form, 'covers', { label: t.covers, choices: choices(t.coverage) })}
          ${radioField(form, 'stale', { label: t.whenStale, choices: choices(t.stale) })}
          <div class="pair">
            ${textField(form, 'lease', {
              label: t.lease,
              hint: t.leaseHint,
              type: 'number',
              min: LEASE.min,
              max: LEASE.max,
            })}
            ${textField(form, 'forget', {
              label: t.forget,
              hint: t.forgetHint,
              type: 'number',
              min: LEASE.min,
              max: FORGET.max,
            })}
          </div>
          ${equivalents(t.same, view.api.curl('POST', base(state), bodyOf(form.values)))}`,
      submit: async (form) => (await view.api.post(base(state), bodyOf(form))).result,
    },
    view.signal,
  );
  return made === null ? null : t.registeredDone(named(made.name));
}

/**
 * @param {State} state
 * @param {Point} point
 */
async function remove(state, point) {
  const { view } = state;
  const path = `${base(state)}/${point.id}`;
  const made = await formDialog(
    {
      title: t.removeTitle(named(point.name)),
      values: {},
      action: t.removeAction,
      isDanger: true,
      body: () =>
        html`<p>${t.removeHint}</p>
          ${point.status === 'silent' ? nothing : notice('warning', t.removeAlive)}
          ${equivalents(t.same, view.api.curl('DELETE', path))}`,
      submit: async () => (await view.api.delete(path)).result ?? true,
    },
    view.signal,
  );
  return made === null ? null : t.removed(named(point.name));
}
