/** Creates a token. Its value is shown once. */

import { html, nothing } from '../../vendor/lit-html.js';
import { rulesOf } from '../rules-form.js';
import { commandLine } from '../shell-words.js';
import { text } from '../text.js';
import * as owner from '../tokens/owner.js';
import { newSecret, secretBox } from '../tokens/secret.js';
import {
  addressField,
  chosenGroups,
  chosenPolicies,
  conditionOf,
  endFields,
  endOf,
  loadKnown,
  nameField,
  permissionFields,
  tokenProblems,
  tokenRuleFields,
  tokenValues,
} from '../tokens/token-form.js';
import { command } from '../ui/copy.js';
import { lines } from '../ui/form.js';
import { named } from '../ui/named.js';
import { errorNotice, loading, notice } from '../ui/notice.js';

const t = text.tokens;

/**
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {boolean} isOfAccount
 * @property {import('../tokens/token-form.js').Known | null} known
 * @property {Record<string, any>} values
 * @property {boolean} isBusy
 * @property {unknown} error
 * @property {import('../tokens/summary.js').Token | null} made
 * @property {import('../tokens/secret.js').Secret | null} secret
 */

/** @type {WeakMap<import('../page.js').View, State>} */
const states = new WeakMap();

/** @type {import('../page.js').Page} */
export const page = {
  title: t.newTitle,
  needs: [],
  open(view) {
    const isOfAccount = owner.isOfAccount(view);
    const lacking = owner.permission(isOfAccount, 'Write');
    if (!view.session.may(lacking)) {
      view.render(notice('warning', text.shell.lacks([lacking])));
      return;
    }
    /** @type {State} */
    const state = {
      view,
      isOfAccount,
      known: null,
      values: tokenValues(view.query.get('role') ?? ''),
      isBusy: false,
      error: null,
      made: null,
      secret: null,
    };
    states.set(view, state);
    draw(state);
    void load(state);
  },
  leave(view) {
    const { secret = null, isBusy = false } = states.get(view) ?? {};
    return !isBusy && (secret === null || secret.isKept);
  },
};

/** @param {State} state */
async function load(state) {
  try {
    state.known = await loadKnown(state.view, state.isOfAccount);
  } catch (error) {
    if (state.view.signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/** @param {State} state */
function path({ view, isOfAccount }) {
  return owner.pathOf(view, isOfAccount);
}

/**
 * @param {State} state
 * @param {import('../tokens/token-form.js').Known} known
 */
function bodyOf({ values }, known) {
  const { rules } = rulesOf(values);
  const end = endOf(values, Date.now());
  const condition = conditionOf(values);
  return {
    name: values['name'].trim(),
    policies: chosenPolicies(values, known),
    ...(end === null ? {} : { expires_on: end }),
    ...(condition === undefined ? {} : { condition }),
    ...(Object.keys(rules).length > 0 ? { issuance_rules: rules } : {}),
  };
}

/** @param {State} state */
function draw(state) {
  const { view, known, values, error, isBusy, made, secret } = state;
  if (made !== null && secret !== null) {
    view.render(html`
      ${notice('success', t.created(named(made.name)))} ${secretBox(secret, () => draw(state))}
      <p>${t.use}</p>
      ${command(t.useLabel, `export CERTGATE_TOKEN=…\ncertgate token verify`)}
      <div class="actions">
        <a class="button" href=${owner.listLink(state)}>${t.backToList}</a>
      </div>
    `);
    return;
  }
  if (known === null) {
    view.render(error === null ? loading() : errorNotice(error));
    return;
  }
  const problems = tokenProblems(values, known);
  const isNamed = values['name'].trim() !== '';
  const isReady = Object.keys(problems).length === 0 && isNamed && !isBusy;
  const form = { values, problems, changed: () => draw(state) };
  const mayIssue = chosenGroups(values, known).some(({ name }) =>
    ['Client Certificates Issue', 'SSL and Certificates Write'].includes(name),
  );
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    if (isReady) void create(state, known);
  };
  view.render(
    html`<form @submit=${submit}>
      <p>${state.isOfAccount ? t.introOfAccount : t.introOfUser}</p>
      ${nameField(form)} ${permissionFields(form, known)}
      ${problems['permissions'] ? html`<p class="problem">${problems['permissions']}</p>` : nothing}
      ${problems['zones'] ? html`<p class="problem">${problems['zones']}</p>` : nothing}
      ${endFields(form)} ${addressField(form)} ${mayIssue ? tokenRuleFields(form) : nothing}
      <div role="alert">${error === null ? nothing : errorNotice(error)}</div>
      <div class="actions">
        <button class="primary" type="submit" ?disabled=${!isReady}>
          ${isBusy ? text.common.loading : t.create}
        </button>
        <a class="button" href=${owner.listLink(state)}>${text.common.cancel}</a>
        ${isNamed ? nothing : html`<span class="hint">${t.needName}</span>`}
      </div>
      ${commands(state, known)}
    </form>`,
  );
}

/**
 * @param {State} state
 * @param {import('../tokens/token-form.js').Known} known
 */
function commands(state, known) {
  const { values, view, isOfAccount } = state;
  const body = bodyOf(state, known);
  const curl = command(text.common.curl, view.api.curl('POST', path(state), body));
  // The command line creates tokens of the user only, for every account or for zones.
  const hasCommand = !isOfAccount && values['place'] !== 'account';
  const chosen = chosenGroups(values, known);
  const zones = values['place'] === 'zones' ? [...values['zones']] : [];
  const words = [
    'certgate',
    'token',
    'create',
    values['name'].trim() || 'ci',
    ...(values['role'] === 'custom'
      ? chosen.flatMap(({ name }) => ['--permission', name])
      : ['--role', values['role']]),
    ...zones.flatMap((id) => ['--zone', known.zones.find((zone) => zone.id === id)?.name ?? id]),
    ...(body.expires_on ? ['--expires', body.expires_on] : []),
    ...lines(values['addresses']).flatMap((address) => ['--allow-ip', address]),
    ...(body.issuance_rules ? ['--rules', 'rules.json'] : []),
  ];
  return html`<details class="equivalents">
    <summary>${t.same}</summary>
    ${
      body.issuance_rules
        ? command(text.rules.rulesFile, JSON.stringify(body.issuance_rules, null, 2))
        : nothing
    }
    ${hasCommand ? command(text.common.cli, commandLine(...words)) : nothing} ${curl}
  </details>`;
}

/**
 * @param {State} state
 * @param {import('../tokens/token-form.js').Known} known
 */
async function create(state, known) {
  const { view } = state;
  state.isBusy = true;
  state.error = null;
  draw(state);
  try {
    const { result } = await view.api.post(path(state), bodyOf(state, known));
    state.made = result;
    state.secret = newSecret(result.name, result.value);
    view.announce(t.created(result.name));
    scrollTo(0, 0);
  } catch (error) {
    state.error = error;
  }
  state.isBusy = false;
  draw(state);
}
