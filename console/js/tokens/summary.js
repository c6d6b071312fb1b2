/** What a token may do and where, in words. */

import { ROLES, permissionsOf } from '../roles.js';
import { text } from '../text.js';

const t = text.tokens;

/**
 * @typedef {object} Policy
 * @property {string} id
 * @property {'allow' | 'deny'} effect
 * @property {{id: string, name: string}[]} permission_groups
 * @property {Record<string, string | Record<string, string>>} resources
 *
 * @typedef {object} Token
 * @property {string} id
 * @property {string} name
 * @property {'active' | 'disabled' | 'expired'} status
 * @property {string} issued_on
 * @property {string} modified_on
 * @property {string} [last_used_on]
 * @property {string} [not_before]
 * @property {string} [expires_on]
 * @property {Policy[]} policies
 * @property {{'request.ip'?: {in?: string[], not_in?: string[]}}} [condition]
 * @property {import('../issuance-rules.js').IssuanceRules} [issuance_rules]
 * @property {string} [value]
 */

/**
 * Returns the role whose permissions the token has exactly.
 * @param {Token} token
 * @param {import('../roles.js').PermissionGroup[]} groups
 */
export function roleOf({ policies }, groups) {
  if (policies.some(({ effect }) => effect === 'deny')) return null;
  const held = new Set(policies.flatMap((policy) => policy.permission_groups.map(({ id }) => id)));
  const isSame = (/** @type {import('../roles.js').PermissionGroup[]} */ some) =>
    some.length === held.size && some.every(({ id }) => held.has(id));
  return ROLES.find((role) => isSame(permissionsOf(role, groups))) ?? null;
}

/**
 * Names the permissions of a policy, without a Read that its Write includes.
 * @param {Policy} policy
 */
export function permissionNames({ permission_groups: groups }) {
  const names = new Set(groups.map(({ name }) => name));
  return [...names].filter((name) => {
    return !(name.endsWith(' Read') && names.has(name.replace(/ Read$/, ' Write')));
  });
}

/**
 * Names the places of a policy.
 * @param {Policy} policy
 * @param {readonly import('../types.js').Zone[]} zones
 */
export function places({ resources }, zones) {
  return Object.entries(resources).flatMap(([resource, value]) => {
    const below = typeof value === 'string' ? [] : Object.keys(value);
    if (below.length > 0) return below.map((zone) => place(zone, zones, resource));
    return [place(resource, zones, null)];
  });
}

/**
 * @param {string} resource
 * @param {readonly import('../types.js').Zone[]} zones
 * @param {string | null} above The resource of the account of a zone.
 */
function place(resource, zones, above) {
  const [kind = '', id = ''] =
    /^com\.cloudflare\.api\.(.*)\.([^.]+)$/.exec(resource)?.slice(1) ?? [];
  const account = (/** @type {string} */ wanted) =>
    zones.find((zone) => zone.account?.id === wanted)?.account?.name ?? wanted;
  switch (kind) {
    case 'account.zone':
      if (id !== '*') return zones.find((zone) => zone.id === id)?.name ?? id;
      return above === null ? t.everyZone : t.zonesOf(account(above.split('.').at(-1) ?? ''));
    case 'account':
      return id === '*' ? t.everyAccount : t.accountNamed(account(id));
    case 'user':
      return t.user;
    default:
      return resource;
  }
}
