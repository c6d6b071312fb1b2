/** One token: what it may do, its changes, a new value, and its end. */

import { html, nothing } from '../../vendor/lit-html.js';
import { ApiError } from '../api.js';
import { ruleSentences } from '../issue/findings.js';
import { ruleValues, rulesOf } from '../rules-form.js';
import { commandLine } from '../shell-words.js';
import { text } from '../text.js';
import * as owner from '../tokens/owner.js';
import { newSecret, secretBox } from '../tokens/secret.js';
import { permissionNames, places } from '../tokens/summary.js';
import {
  addressField,
  chosenPolicies,
  conditionOf,
  loadKnown,
  nameField,
  permissionFields,
  tokenRuleFields,
  tokenValues,
} from '../tokens/token-form.js';
import { visible } from '../ui/certificate-name.js';
import { copyButton, equivalents } from '../ui/copy.js';
import { checkField, textField } from '../ui/form.js';
import { formDialog } from '../ui/form-dialog.js';
import { named } from '../ui/named.js';
import { badge, errorNotice, loading, notice } from '../ui/notice.js';
import { ago, when } from '../ui/time.js';

const t = text.tokens;

/** The error of a change after which no token could create tokens. */
const LAST_TOKEN = 1542;

const BADGES = /** @type {const} */ ({ active: 'good', disabled: 'quiet', expired: 'bad' });

/**
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {boolean} isOfAccount
 * @property {import('../tokens/token-form.js').Known | null} known
 * @property {import('../tokens/summary.js').Token | null} token
 * @property {import('../tokens/secret.js').Secret | null} secret
 * @property {unknown} error
 * @property {string} done
 */

/** @type {WeakMap<import('../page.js').View, State>} */
const states = new WeakMap();

/** @type {import('../page.js').Page} */
export const page = {
  title: t.one,
  needs: [],
  open(view) {
    const isOfAccount = owner.isOfAccount(view);
    const lacking = owner.permission(isOfAccount, 'Read');
    if (!view.session.may(lacking)) {
      view.render(notice('warning', text.shell.lacks([lacking])));
      return;
    }
    /** @type {State} */
    const state = {
      view,
      isOfAccount,
      known: null,
      token: null,
      secret: null,
      error: null,
      done: '',
    };
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
function base({ view, isOfAccount }) {
  return `${owner.pathOf(view, isOfAccount)}/${view.params['id']}`;
}

/** @param {State} state */
async function load(state) {
  const { view } = state;
  try {
    const [answer, known] = await Promise.all([
      view.api.get(base(state), {}, { signal: view.signal }),
      loadKnown(view, state.isOfAccount),
    ]);
    state.token = answer.result;
    state.known = known;
    state.error = null;
    view.title(visible(answer.result.name));
  } catch (error) {
    if (view.signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/** @param {State} state */
function draw(state) {
  const { view, token, known, error, done, secret } = state;
  if (token === null || known === null) {
    view.render(error === null ? loading() : errorNotice(error));
    return;
  }
  const write = owner.permission(state.isOfAccount, 'Write');
  const mayWrite = view.session.may(write);
  const isOwn = token.id === view.session.caller?.id;
  view.render(html`
    ${done ? notice('success', done) : nothing}
    ${secret === null ? nothing : secretBox(secret, () => draw(state))}
    ${error === null ? nothing : errorNotice(error)} ${isOwn ? notice('info', t.isOwn) : nothing}
    <div class="actions">
      ${
        mayWrite
          ? html`<button @click=${() => run(state, change(state, token, known))}>
                ${t.change}
              </button>
              <button @click=${() => roll(state, token, isOwn)}>${t.roll}</button>
              <button class="quiet" @click=${() => remove(state, token, isOwn)}>
                ${t.remove}
              </button>`
          : html`<span class="hint">${t.readOnly(write)}</span>`
      }
      <a href=${owner.listLink(state)}>${t.backToList}</a>
    </div>
    <div class="grid">
      <section class="panel" aria-labelledby="token-facts">
        <h2 id="token-facts">${t.facts}</h2>
        ${facts(token)}
      </section>
      <section class="panel" aria-labelledby="token-permissions">
        <h2 id="token-permissions">${t.permissions}</h2>
        ${token.policies.map((policy) => permissions(state, policy))}
      </section>
      ${
        token.issuance_rules
          ? html`<section class="panel" aria-labelledby="token-rules">
              <h2 id="token-rules">${text.rules.title}</h2>
              <ul class="sentences">
                ${ruleSentences(token.issuance_rules).map((one) => html`<li>${one}</li>`)}
              </ul>
            </section>`
          : nothing
      }
    </div>
    ${equivalents(t.sameShow, view.api.curl('GET', base(state)))}
  `);
}

/** @param {import('../tokens/summary.js').Token} token */
function facts(token) {
  const addresses = token.condition?.['request.ip'];
  return html`<dl class="facts">
    <dt>${t.status}</dt>
    <dd>${badge(BADGES[token.status], t.states[token.status] ?? token.status)}</dd>
    <dt>${t.id}</dt>
    <dd class="mono">${token.id} ${copyButton(token.id, t.copyId)}</dd>
    <dt>${t.createdOn}</dt>
    <dd>${when(token.issued_on)}</dd>
    <dt>${t.modifiedOn}</dt>
    <dd>${when(token.modified_on)}</dd>
    <dt>${t.lastUsed}</dt>
    <dd>${token.last_used_on ? ago(token.last_used_on) : text.common.never}</dd>
    ${
      token.not_before
        ? html`<dt>${t.notBefore}</dt>
            <dd>${when(token.not_before)}</dd>`
        : nothing
    }
    <dt>${t.expires}</dt>
    <dd>${token.expires_on ? when(token.expires_on) : text.common.never}</dd>
    <dt>${t.addresses}</dt>
    <dd>
      ${addresses?.in ? html`<span class="mono">${addresses.in.join(', ')}</span>` : t.anywhere}
      ${
        addresses?.not_in
          ? html`<div>${t.butNot} <span class="mono">${addresses.not_in.join(', ')}</span></div>`
          : nothing
      }
    </dd>
  </dl>`;
}

/**
 * @param {State} state
 * @param {import('../tokens/summary.js').Policy} policy
 */
function permissions({ view }, policy) {
  const where = places(policy, view.session.zones).join(', ');
  return html`<h3>
      ${policy.effect === 'deny' ? badge('bad', t.denies) : badge('good', t.allows)} ${where}
    </h3>
    <ul class="sentences">
      ${permissionNames(policy).map((name) => html`<li>${name}</li>`)}
    </ul>`;
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

/**
 * Sends a change. If the server says that no other token could create tokens, the form asks for a
 * confirmation.
 * @param {Record<string, any>} values
 * @param {(query: string) => Promise<any>} send
 */
async function sendConfirmed(values, send) {
  try {
    return (await send(values['lastToken'] ? '?last_token=true' : '')).result ?? true;
  } catch (error) {
    if (error instanceof ApiError && error.code === LAST_TOKEN) values['isLast'] = true;
    throw error;
  }
}

/** @param {import('../ui/form.js').Form} form */
function lastTokenField(form) {
  if (!form.values['isLast']) return nothing;
  return checkField(form, 'lastToken', { label: t.lastToken, hint: t.lastTokenHint });
}

/** @param {Record<string, any>} values */
function isConfirmed(values) {
  return !values['isLast'] || values['lastToken'];
}

/** @param {string | undefined} time RFC 3339 */
function localTime(time) {
  if (!time) return '';
  const date = new Date(time);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/**
 * @param {State} state
 * @param {import('../tokens/summary.js').Token} token
 * @param {import('../tokens/token-form.js').Known} known
 */
async function change(state, token, known) {
  const { view } = state;
  const addresses = token.condition?.['request.ip'];
  const expires = localTime(token.expires_on);
  const values = {
    ...tokenValues(''),
    ...ruleValues(token.issuance_rules ?? {}),
    name: token.name,
    isActive: token.status !== 'disabled',
    expires,
    addresses: (addresses?.in ?? []).join('\n'),
    replaces: false,
    isLast: false,
    lastToken: false,
  };
  /** @param {Record<string, any>} form */
  const bodyOf = (form) => {
    const condition = conditionOf(form, addresses?.not_in);
    // The field has minutes: an end that was not touched keeps its seconds.
    const end = form['expires'] === expires ? token.expires_on : iso(form['expires']);
    return {
      name: form['name'].trim(),
      status: form['isActive'] ? 'active' : 'disabled',
      policies: form['replaces']
        ? chosenPolicies(form, known)
        : token.policies.map(({ id, effect, permission_groups: groups, resources }) => ({
            id,
            effect,
            permission_groups: groups.map((group) => ({ id: group.id })),
            resources,
          })),
      ...(condition === undefined ? {} : { condition }),
      ...(token.not_before ? { not_before: token.not_before } : {}),
      ...(end ? { expires_on: end } : {}),
      issuance_rules: rulesOf(form).rules,
    };
  };
  const isReady = (/** @type {Record<string, any>} */ form) =>
    form['name'].trim() !== '' &&
    isConfirmed(form) &&
    Object.keys(rulesOf(form).problems).length === 0 &&
    !(form['replaces'] && chosenPolicies(form, known).length === 0);
  const changed = await formDialog(
    {
      title: t.changeTitle(named(token.name)),
      values,
      action: t.changeAction,
      isReady,
      body: (form) => {
        const withProblems = { ...form, problems: rulesOf(form.values).problems };
        return html`${nameField(form)}
        ${checkField(form, 'isActive', { label: t.isActive, hint: t.isActiveHint })}
        ${textField(form, 'expires', {
          label: t.expiresOn,
          hint: t.expiresEmpty,
          type: 'datetime-local',
        })}
        ${addressField(form)} ${checkField(form, 'replaces', { label: t.replaces })}
        ${form.values['replaces'] ? permissionFields(form, known) : nothing}
        ${tokenRuleFields(withProblems)} ${lastTokenField(form)}
        ${equivalents(t.same, view.api.curl('PUT', base(state), bodyOf(form.values)))}`;
      },
      submit: (form) =>
        sendConfirmed(form, (query) => view.api.put(base(state) + query, bodyOf(form))),
    },
    view.signal,
  );
  return changed === null ? null : t.changed;
}

/** @param {string} local */
function iso(local) {
  const date = new Date(local);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString().replace(/\.\d+Z$/, 'Z');
}

/**
 * @param {State} state
 * @param {import('../tokens/summary.js').Token} token
 * @param {boolean} isOwn
 */
async function roll(state, token, isOwn) {
  const { view } = state;
  const path = `${base(state)}/value`;
  const value = await formDialog(
    {
      title: t.rollTitle(named(token.name)),
      values: {},
      action: t.rollAction,
      isDanger: true,
      body: () =>
        html`<p>${t.rollHint}</p>
          ${isOwn ? html`<p>${t.rollOwn}</p>` : nothing}
          ${equivalents(t.same, view.api.curl('PUT', path, {}))}`,
      submit: async () => {
        const { result } = await view.api.put(path, {});
        if (isOwn) view.session.replaceToken(result);
        return /** @type {string} */ (result);
      },
    },
    view.signal,
  );
  if (value === null) return;
  state.secret = newSecret(token.name, value);
  view.announce(t.secretOnce);
  await load(state);
}

/**
 * @param {State} state
 * @param {import('../tokens/summary.js').Token} token
 * @param {boolean} isOwn
 */
async function remove(state, token, isOwn) {
  const { view } = state;
  const deleted = await formDialog(
    {
      title: t.removeTitle(named(token.name)),
      values: { isLast: false, lastToken: false },
      action: t.removeAction,
      isDanger: true,
      isReady: isConfirmed,
      body: (form) => {
        const query = form.values['lastToken'] ? '?last_token=true' : '';
        const words = [
          'certgate',
          'token',
          'revoke',
          token.id,
          form.values['lastToken'] && '--yes',
        ];
        return html`<p>${t.removeHint}</p>
          ${isOwn ? html`<p>${t.removeOwn}</p>` : nothing} ${lastTokenField(form)}
          ${equivalents(
            t.same,
            view.api.curl('DELETE', base(state) + query),
            state.isOfAccount ? undefined : commandLine(...words),
          )}`;
      },
      submit: (form) => sendConfirmed(form, (query) => view.api.delete(base(state) + query)),
    },
    view.signal,
  );
  if (deleted === null) return;
  if (isOwn) {
    view.session.signOut();
    return;
  }
  view.announce(t.removed(token.name));
  view.navigate(owner.listLink(state));
}
