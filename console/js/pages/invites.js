/** Invites: links with which a person gets a certificate without a token. */

import { html, nothing } from '../../vendor/lit-html.js';
import { lifetimeSeconds } from '../issuance-rules.js';
import { oneAtATime } from '../one-at-a-time.js';
import { commandLine } from '../shell-words.js';
import { text } from '../text.js';
import { newSecret, secretBox } from '../tokens/secret.js';
import { foreign } from '../ui/certificate-name.js';
import { command, equivalents } from '../ui/copy.js';
import { selectField, textField } from '../ui/form.js';
import { formDialog } from '../ui/form-dialog.js';
import { named } from '../ui/named.js';
import { badge, empty, errorNotice, loading, notice } from '../ui/notice.js';
import { pager } from '../ui/pager.js';
import { qrCode } from '../ui/qr-code.js';
import { table } from '../ui/table.js';
import { ago, when } from '../ui/time.js';

const t = text.invites;

const CREATE = 'Client Certificates Issue';

/** The invites of a page; the server returns at most 50. */
const INVITES_PER_PAGE = 50;

/** The longest common name (RFC 5280, ub-common-name), in characters. */
const NAME_MAX = 64;

const USES_MAX = 100;

/** The time for which a new link works, in seconds. */
const VALID_FOR_DEFAULT = '86400';

const BADGES = /** @type {const} */ ({
  open: 'good',
  used: 'quiet',
  withdrawn: 'quiet',
  locked: 'bad',
  expired: 'quiet',
});

/**
 * @typedef {object} Invite
 * @property {string} id
 * @property {string} name
 * @property {string} device
 * @property {keyof typeof BADGES} state
 * @property {number} uses
 * @property {string[]} client_certificate_ids
 * @property {string} created_on
 * @property {string} expires_on
 *
 * @typedef {Invite & { secret: string, link: string | null, est: string | null }} NewInvite
 *
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {{ invites: Invite[], info: import('../types.js').ResultInfo } | null} page
 * @property {NewInvite | null} made
 * @property {import('../tokens/secret.js').Secret | null} secret
 * @property {unknown} error
 * @property {string} done
 */

/** @type {WeakMap<import('../page.js').View, State>} */
const states = new WeakMap();

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: ['Client Certificates Read'],
  open(view) {
    const begun = { view, page: null, made: null, secret: null, error: null, done: '' };
    const state = states.get(view) ?? begun;
    if (!states.has(view)) {
      const reload = oneAtATime(() => load(state));
      view.live.subscribe('refresh', () => void reload(), view.signal);
    }
    states.set(view, state);
    draw(state);
    void load(state);
  },
  leave(view) {
    const secret = states.get(view)?.secret ?? null;
    return secret === null || secret.isKept;
  },
};

/** @param {State} state */
function path({ view }) {
  return `/certgate/v1/zones/${view.zone?.id}/invites`;
}

/** @param {State} state */
async function load(state) {
  const { api, query, signal } = state.view;
  const wanted = { page: query.get('page') ?? 1, per_page: INVITES_PER_PAGE };
  try {
    const { result, result_info: info } = await api.get(path(state), wanted, { signal });
    state.page = { invites: result, info };
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
  view.render(html`
    ${done ? notice('success', done) : nothing} ${created(state)}
    ${error === null ? nothing : errorNotice(error)}
    <p>${t.intro}</p>
    <div class="bar">${createButton(state)}</div>
    ${shown === null && error === null ? loading() : nothing}
    ${
      shown === null
        ? nothing
        : html`${table({
            caption: t.title,
            columns: columns(state),
            rows: shown.invites,
            key: ({ id }) => id,
            empty: empty(t.none, html`<p>${t.noneHow}</p>`),
          })}
          ${
            shown.info.total_pages > 1
              ? pager({
                  info: shown.info,
                  go: (to) => view.navigate(new URLSearchParams({ page: String(to) })),
                })
              : nothing
          }
          ${equivalents(
            t.sameList,
            view.api.curl('GET', path(state)),
            commandLine('certgate', 'invite', 'list', '--zone', view.zone?.name ?? ''),
          )}`
    }
  `);
}

/** @param {State} state */
function createButton(state) {
  const { session } = state.view;
  if (!session.may(CREATE)) return html`<span class="hint">${t.createLacks(CREATE)}</span>`;
  if (session.caller?.issuance_rules) return html`<span class="hint">${t.ownRules}</span>`;
  return html`<button class="primary" @click=${() => create(state)}>${t.create}</button>`;
}

/**
 * The link of a new invite, until the user closes it.
 * @param {State} state
 */
function created(state) {
  const { made, secret } = state;
  if (made === null || secret === null) return nothing;
  const close = () => {
    state.made = null;
    state.secret = null;
    draw(state);
  };
  const enrol = ['certgate', 'enrol', '--est', made.est ?? '', '--invite-file', 'invite.txt'];
  return html`<section class="panel" aria-label=${t.link}>
    ${made.link === null ? html`<p>${t.noLink}</p>` : nothing}
    ${secretBox(secret, () => draw(state))}
    ${
      made.link === null
        ? nothing
        : html`<figure>
            ${qrCode(made.link, t.qr)}
            <figcaption class="hint">${t.qrHint}</figcaption>
          </figure>`
    }
    ${made.est === null ? nothing : command(t.enrol, commandLine(...enrol))}
    <div class="actions">
      <button ?disabled=${!secret.isKept} @click=${close}>${t.done}</button>
    </div>
  </section>`;
}

/**
 * @param {State} state
 * @returns {import('../ui/table.js').Column<Invite>[]}
 */
function columns(state) {
  const mayWithdraw = state.view.session.may(CREATE);
  return [
    { title: t.name, isHeader: true, cell: ({ name }) => foreign(name) },
    { title: t.device, cell: ({ device }) => t.devices[device] ?? device },
    {
      title: t.state,
      cell: ({ state: one }) =>
        html`<span title=${one === 'locked' ? t.lockedHint : nothing}>
          ${badge(BADGES[one] ?? 'quiet', t.states[one] ?? one)}
        </span>`,
    },
    {
      title: t.used,
      cell: ({ uses, client_certificate_ids: ids }) =>
        html`<div>
          ${t.uses(ids.length, uses)}
          ${ids.map(
            (id, index) =>
              html` <a href=${`#/certificates/${id}`}>${t.certificate(index + 1)}</a>`,
          )}
        </div>`,
    },
    { title: t.expires, cell: ({ expires_on: time }) => ago(time) },
    { title: t.created, cell: ({ created_on: time }) => when(time) },
    {
      title: text.common.actions,
      hideTitle: true,
      className: 'tight',
      cell: (invite) =>
        mayWithdraw && (invite.state === 'open' || invite.state === 'locked')
          ? html`<div class="row-actions">
              <button class="quiet" @click=${() => withdraw(state, invite)}>${t.withdraw}</button>
            </div>`
          : nothing,
    },
  ];
}

/** @param {Record<string, any>} values */
function problemsOf({ lifetime, uses }) {
  /** @type {Record<string, string>} */
  const problems = {};
  const isWrong = lifetime.trim() !== '' && lifetimeSeconds(lifetime) === null;
  if (isWrong) problems['lifetime'] = t.lifetimeProblem;
  const number = Number(uses);
  if (!Number.isInteger(number) || number < 1 || number > USES_MAX) {
    problems['uses'] = t.usesProblem;
  }
  return problems;
}

/** @param {Record<string, any>} values */
function bodyOf({ name, device, lifetime, validFor, uses }) {
  return {
    name: name.trim(),
    device,
    ...(lifetime.trim() ? { lifetime: lifetime.trim() } : {}),
    valid_for_seconds: Number(validFor),
    uses: Number(uses),
  };
}

/** @param {State} state */
async function create(state) {
  const { view } = state;
  /** @type {NewInvite | null} */
  const made = await formDialog(
    {
      title: t.createTitle,
      values: { name: '', device: 'device', lifetime: '', validFor: VALID_FOR_DEFAULT, uses: '1' },
      action: t.createAction,
      isReady: (values) => values['name'].trim() !== '' && noProblem(values),
      body: (form) => createFields(state, { ...form, problems: problemsOf(form.values) }),
      submit: async (values) => (await view.api.post(path(state), bodyOf(values))).result,
    },
    view.signal,
  );
  if (made === null) return;
  const hasLink = made.link !== null;
  state.made = made;
  state.secret = newSecret(made.name, made.link ?? `${made.id}#${made.secret}`, {
    once: hasLink ? t.once : t.onceSecret,
    label: t.link,
    copy: hasLink ? t.copy : t.copySecret,
    extension: 'txt',
  });
  state.done = t.createdDone(named(made.name));
  view.announce(state.done);
  scrollTo(0, 0);
  await load(state);
}

/** @param {Record<string, any>} values */
function noProblem(values) {
  return Object.keys(problemsOf(values)).length === 0;
}

/**
 * @param {State} state
 * @param {import('../ui/form.js').Form} form
 */
function createFields(state, form) {
  const { view } = state;
  const { name, device, lifetime, validFor, uses } = form.values;
  const words = ['certgate', 'invite', name.trim() || 'anna', '--device', device];
  if (lifetime.trim()) words.push('--days', lifetime.trim());
  words.push('--valid-for', `${Number(validFor) / 3600}h`, '--uses', uses);
  words.push('--zone', view.zone?.name ?? '');
  return html`${textField(form, 'name', {
      label: t.name,
      hint: t.nameHint,
      maxLength: NAME_MAX,
      isRequired: true,
    })}
    ${selectField(form, 'device', { label: t.device, choices: Object.entries(t.devices) })}
    ${textField(form, 'lifetime', {
      label: t.lifetime,
      hint: t.lifetimeHint,
      suggestions: ['8h', '30d', '90d', '365d'],
    })}
    <div class="pair">
      ${selectField(form, 'validFor', { label: t.validFor, choices: Object.entries(t.validTimes) })}
      ${textField(form, 'uses', {
        label: t.usesMax,
        hint: t.usesHint,
        type: 'number',
        min: 1,
        max: USES_MAX,
      })}
    </div>
    ${equivalents(
      t.same,
      view.api.curl('POST', path(state), bodyOf(form.values)),
      commandLine(...words),
    )}`;
}

/**
 * @param {State} state
 * @param {Invite} invite
 */
async function withdraw(state, invite) {
  const { view } = state;
  const one = `${path(state)}/${invite.id}`;
  const made = await formDialog(
    {
      title: t.withdrawTitle(named(invite.name)),
      values: {},
      action: t.withdrawAction,
      isDanger: true,
      body: () =>
        html`<p>${t.withdrawHint}</p>
          ${equivalents(
            t.same,
            view.api.curl('DELETE', one),
            commandLine('certgate', 'invite', 'withdraw', invite.id),
          )}`,
      submit: async () => (await view.api.delete(one)).result,
    },
    view.signal,
  );
  if (made === null) return;
  state.done = t.withdrawn(named(invite.name));
  view.announce(state.done);
  await load(state);
}
