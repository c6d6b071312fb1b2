// Roles of tokens, and the policies of a token that is created.

/**
 * A permission group of the API.
 * @typedef {{id: string, name: string, scopes: string[]}} PermissionGroup
 */

/** The names of the roles, from the fewest permissions to all. */
export const ROLES = /** @type {const} */ (['issuer', 'operator', 'auditor', 'proxy', 'admin']);

/** @typedef {(typeof ROLES)[number]} Role */

/** @type {Record<Role, (name: string) => boolean>} the permissions of a role, by their names */
const HAS = {
  issuer: (name) => name === 'Client Certificates Issue',
  operator: (name) => name.startsWith('Client Certificates '),
  auditor: (name) => name.endsWith(' Read'),
  proxy: (name) => name === 'Enforcement Points Write',
  admin: () => true,
};

/**
 * Returns the permissions of a role.
 * @param {Role} role
 * @param {PermissionGroup[]} groups every permission group
 */
export function permissionsOf(role, groups) {
  return groups.filter(({ name }) => HAS[role](name));
}

const ZONE = 'com.cloudflare.api.account.zone';
const ACCOUNT = 'com.cloudflare.api.account';
const USER = 'com.cloudflare.api.user';

/**
 * A policy in a request.
 * @typedef {object} NewPolicy
 * @property {'allow'} effect
 * @property {{id: string}[]} permission_groups
 * @property {Record<string, string | Record<string, string>>} resources
 */

/**
 * Returns the policies that allow these permissions: one for each kind of resource.
 * @param {PermissionGroup[]} groups the permissions
 * @param {{zones: string[], account: string | null, user: string}} places IDs: `zones` empty for
 *     every zone, `account` null for every account and otherwise the only one
 * @returns {NewPolicy[]}
 */
export function policies(groups, { zones, account, user }) {
  /** @type {[string, NewPolicy['resources']][]} */
  const kinds = [
    [ZONE, zoneResources(zones, account)],
    [ACCOUNT, { [`${ACCOUNT}.${account ?? '*'}`]: '*' }],
    [USER, { [`${USER}.${user}`]: '*' }],
  ];
  return kinds.flatMap(([scope, resources]) => {
    const chosen = groups.filter(({ scopes }) => scopes.includes(scope)).map(({ id }) => ({ id }));
    return chosen.length === 0
      ? []
      : [{ effect: /** @type {const} */ ('allow'), permission_groups: chosen, resources }];
  });
}

/**
 * @param {string[]} zones
 * @param {string | null} account
 * @returns {NewPolicy['resources']}
 */
function zoneResources(zones, account) {
  if (zones.length > 0) {
    return Object.fromEntries(zones.map((id) => [`${ZONE}.${id}`, '*']));
  }
  return account === null
    ? { [`${ZONE}.*`]: '*' }
    : { [`${ACCOUNT}.${account}`]: { [`${ZONE}.*`]: '*' } };
}
