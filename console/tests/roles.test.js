// Roles and policies: the table of docs/client.md is the judge.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { ROLES, permissionsOf, policies } from '../js/roles.js';

const MODEL = readFileSync(new URL('../../crates/model/src/token.rs', import.meta.url), 'utf8');
const DOCS = readFileSync(new URL('../../docs/client.md', import.meta.url), 'utf8');

/** Every permission group of the server, with its scope. */
const GROUPS = [
  ...MODEL.matchAll(/Self::(\w+) => "([A-Z][^"]* (?:Read|Write|Issue|Restore|Revoke))"/g),
].map(([, id = '', name = '']) => {
  const isUser = name.startsWith('API Tokens') || name.startsWith('User');
  const isZone = /^(Client Certificates|SSL|Zone)/.test(name);
  const scope = isUser ? 'user' : isZone ? 'account.zone' : 'account';
  return { id, name, scopes: [`com.cloudflare.api.${scope}`] };
});

test('the roles have the permissions of the command line', () => {
  assert.equal(GROUPS.length, 20);
  const names = (/** @type {import('../js/roles.js').Role} */ role) =>
    permissionsOf(role, GROUPS).map(({ name }) => name);
  assert.deepEqual(names('admin').length, 20);
  assert.deepEqual(names('auditor').length, 9);
  const row = (/** @type {string} */ role) =>
    new RegExp(`^\\| \`${role}\` \\| (.*) \\|$`, 'm').exec(DOCS)?.[1];
  assert.equal(row('issuer'), names('issuer').join());
  assert.equal(row('proxy'), names('proxy').join());
  assert.equal(row('operator'), 'Client Certificates Issue, Read, Restore and Revoke');
  assert.deepEqual(names('operator'), [
    'Client Certificates Issue',
    'Client Certificates Read',
    'Client Certificates Restore',
    'Client Certificates Revoke',
  ]);
  assert.deepEqual(
    [...DOCS.matchAll(/^\| `(\w+)` \| /gm)].map(([, role]) => role),
    [...ROLES],
  );
});

test('a token has a policy for each kind of resource', () => {
  const some = GROUPS.filter(({ name }) => /^(Zone|Account Settings|User Details) Read/.test(name));
  const everywhere = policies(some, { zones: [], account: null, user: 'U' });
  assert.deepEqual(
    everywhere.map(({ resources }) => resources),
    [
      { 'com.cloudflare.api.account.zone.*': '*' },
      { 'com.cloudflare.api.account.*': '*' },
      { 'com.cloudflare.api.user.U': '*' },
    ],
  );
  const narrow = policies(some, { zones: ['Z1', 'Z2'], account: 'A', user: 'U' });
  assert.deepEqual(
    narrow.map(({ resources }) => resources),
    [
      { 'com.cloudflare.api.account.zone.Z1': '*', 'com.cloudflare.api.account.zone.Z2': '*' },
      { 'com.cloudflare.api.account.A': '*' },
      { 'com.cloudflare.api.user.U': '*' },
    ],
  );
  const [zones] = policies(some, { zones: [], account: 'A', user: 'U' });
  assert.deepEqual(zones?.resources, {
    'com.cloudflare.api.account.A': { 'com.cloudflare.api.account.zone.*': '*' },
  });
  assert.deepEqual(policies([], { zones: [], account: null, user: 'U' }), []);
});
