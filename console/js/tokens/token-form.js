/** The form of a token: its permissions, places, end, addresses and issuance rules. */

import { html, nothing } from '../../vendor/lit-html.js';
import { ROLES, permissionsOf, policies } from '../roles.js';
import { ruleFields, ruleValues, rulesOf } from '../rules-form.js';
import { text } from '../text.js';
import { areaField, checksField, lines, radioField, selectField, textField } from '../ui/form.js';
import { pathOf } from './owner.js';

const t = text.tokens;

/** Longest name of a token, in characters. */
const NAME_MAX = 100;

/** Lifetimes that the form offers, with their length in milliseconds. */
const LIFETIMES = /** @type {const} */ ({
  '8h': 8 * 3_600_000,
  '7d': 7 * 86_400_000,
  '90d': 90 * 86_400_000,
  '365d': 365 * 86_400_000,
});

/**
 * What the form knows about the server.
 * @typedef {object} Known
 * @property {import('../roles.js').PermissionGroup[]} groups Every permission that such a token can
 *   have.
 * @property {string | null} user The ID of the user; `null` if the token may not read it.
 * @property {string | null} account The ID of the account.
 * @property {boolean} isOfAccount An account owns the token.
 * @property {readonly import('../types.js').Zone[]} zones
 */

/**
 * The values of the form of a new token.
 * @param {string} role
 * @returns {Record<string, any>}
 */
export function tokenValues(role) {
  const known = /** @type {readonly string[]} */ (ROLES).includes(role);
  return {
    name: '',
    role: known ? role : 'operator',
    permissions: new Set(),
    place: 'everywhere',
    zones: new Set(),
    ends: '90d',
    expires: '',
    addresses: '',
    ...ruleValues({}),
  };
}

/**
 * Reads the permissions that the caller can give to such a token.
 * @param {import('../page.js').View} view
 * @param {boolean} isOfAccount
 * @returns {Promise<Known>}
 */
export async function loadKnown({ api, account, session, signal }, isOfAccount) {
  const base = pathOf({ account }, isOfAccount);
  const [groups, user] = await Promise.all([
    api.get(`${base}/permission_groups`, {}, { signal }),
    !isOfAccount && session.may('User Details Read')
      ? api.get('/client/v4/user', {}, { signal })
      : null,
  ]);
  const userId = user?.result.id ?? null;
  /** @type {import('../roles.js').PermissionGroup[]} */
  const all = groups.result;
  return {
    groups: userId === null ? all.filter(({ scopes }) => !scopes.includes(USER_SCOPE)) : all,
    user: userId,
    account,
    isOfAccount,
    zones: session.zones,
  };
}

const USER_SCOPE = 'com.cloudflare.api.user';

/**
 * The chosen permissions.
 * @param {Record<string, any>} values
 * @param {Known} known
 */
export function chosenGroups({ role, permissions }, { groups }) {
  if (role === 'custom') return groups.filter(({ id }) => permissions.has(id));
  return permissionsOf(role, groups);
}

/**
 * The policies of the form.
 * @param {Record<string, any>} values
 * @param {Known} known
 */
export function chosenPolicies(values, known) {
  const { place, zones } = values;
  return policies(chosenGroups(values, known), {
    zones: place === 'zones' ? [...zones] : [],
    account: known.isOfAccount || place !== 'everywhere' ? known.account : null,
    user: known.user ?? '',
  });
}

/**
 * Returns the end of the token in RFC 3339; `null` for none.
 * @param {Record<string, any>} values
 * @param {number} now Milliseconds since 1970.
 * @returns {string | null}
 */
export function endOf({ ends, expires }, now) {
  if (ends === 'never') return null;
  const length = /** @type {Record<string, number>} */ (LIFETIMES)[ends];
  if (length !== undefined) return wholeSeconds(new Date(now + length));
  const date = new Date(expires);
  return Number.isNaN(date.getTime()) ? null : wholeSeconds(date);
}

/** @param {Date} date */
function wholeSeconds(date) {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

/**
 * Returns the problems of the form by field.
 * @param {Record<string, any>} values
 * @param {Known} known
 */
export function tokenProblems(values, known) {
  const problems = { ...rulesOf(values).problems };
  if (values['ends'] === 'date') {
    const end = new Date(values['expires']);
    if (!(end.getTime() > Date.now())) problems['expires'] = t.expiresProblem;
  }
  if (chosenGroups(values, known).length === 0) problems['permissions'] = t.permissionsProblem;
  if (values['place'] === 'zones' && values['zones'].size === 0) problems['zones'] = t.zonesProblem;
  return problems;
}

/**
 * The name, the end and the addresses.
 * @param {import('../ui/form.js').Form} form
 */
export function nameField(form) {
  return textField(form, 'name', {
    label: t.name,
    hint: t.nameHint,
    maxLength: NAME_MAX,
    isRequired: true,
  });
}

/** @param {import('../ui/form.js').Form} form */
export function endFields(form) {
  return html`${selectField(form, 'ends', {
    label: t.expires,
    hint: t.expiresHint,
    choices: [
      ...Object.keys(LIFETIMES).map(
        (name) => /** @type {[string, string]} */ ([name, t.lifetimes[name] ?? name]),
      ),
      ['date', t.expiresDate],
      ['never', t.expiresNever],
    ],
  })}
  ${
    form.values['ends'] === 'date'
      ? textField(form, 'expires', { label: t.expiresOn, type: 'datetime-local' })
      : nothing
  }`;
}

/** @param {import('../ui/form.js').Form} form */
export function addressField(form) {
  return areaField(form, 'addresses', {
    label: t.addresses,
    hint: t.addressesHint,
    placeholder: '192.0.2.0/24',
    rows: 2,
  });
}

/**
 * The permissions and their places.
 * @param {import('../ui/form.js').Form} form
 * @param {Known} known
 */
export function permissionFields(form, known) {
  const { values } = form;
  const groups = chosenGroups(values, known);
  const hasZones = groups.some(({ scopes }) => scopes.some((scope) => scope.endsWith('.zone')));
  const roles = ROLES.filter((role) => permissionsOf(role, known.groups).length > 0).map(
    (role) =>
      /** @type {[string, string, string]} */ ([
        role,
        t.roles[role] ?? role,
        t.roleHints[role] ?? '',
      ]),
  );
  return html`
    ${radioField(form, 'role', {
      label: t.role,
      choices: [...roles, ['custom', t.custom, t.customHint]],
    })}
    ${
      values['role'] === 'custom'
        ? checksField(form, 'permissions', {
            label: t.permissions,
            choices: known.groups.map(({ id, name }) => [id, name]),
          })
        : html`<details class="indented">
            <summary>${t.permissionsOfRole(groups.length)}</summary>
            <ul class="sentences">
              ${groups.map(({ name }) => html`<li>${name}</li>`)}
            </ul>
          </details>`
    }
    ${radioField(form, 'place', {
      label: t.where,
      choices: [
        known.isOfAccount
          ? ['everywhere', t.wholeAccount, t.wholeAccountHint]
          : ['everywhere', t.everywhere, t.everywhereHint],
        ...(known.isOfAccount || known.account === null
          ? []
          : [/** @type {[string, string, string]} */ (['account', t.account, t.accountHint])]),
        ...(hasZones
          ? [/** @type {[string, string, string]} */ (['zones', t.someZones, t.someZonesHint])]
          : []),
      ],
    })}
    ${
      values['place'] === 'zones' && hasZones
        ? html`<div class="scrolled">
            ${checksField(form, 'zones', {
              label: t.zones,
              choices: known.zones.map(({ id, name }) => [id, name]),
            })}
          </div>`
        : nothing
    }
  `;
}

/** @param {import('../ui/form.js').Form} form */
export function tokenRuleFields(form) {
  return html`<details ?open=${Object.keys(rulesOf(form.values).rules).length > 0}>
    <summary>${t.rulesSummary}</summary>
    <p class="hint">${t.rulesHint}</p>
    ${ruleFields(form, true)}
  </details>`;
}

/**
 * Returns the condition of the addresses; `undefined` for every address.
 * @param {Record<string, any>} values
 * @param {string[]} [refused] Addresses that stay refused.
 */
export function conditionOf({ addresses }, refused = []) {
  const allowed = lines(addresses);
  if (allowed.length === 0 && refused.length === 0) return undefined;
  return {
    'request.ip': {
      ...(allowed.length > 0 ? { in: allowed } : {}),
      ...(refused.length > 0 ? { not_in: refused } : {}),
    },
  };
}
