// The official TypeScript SDK, unmodified: memberships, account tokens, the user and audit logs.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import Cloudflare from 'cloudflare';

import { declarationsAccept } from './declarations.js';
import { collect, connect, fails, serve, Wire, works, type Server } from './harness.js';

const SSL_READ = '7b7216b327b04b8fbc8f524e1f9b7531';

const wire = new Wire();
let server: Server;
let sdk: Cloudflare;

before(async () => {
  server = await serve();
  sdk = connect(server, wire);
});
after(() => server.stop());

test('the user has a membership in each account', async () => {
  const account = await sdk.accounts.create({ name: 'second' });
  const memberships = await collect(sdk.memberships.list());
  assert.deepEqual(
    memberships.map((membership) => membership.account?.id),
    [server.account_id, account.id],
  );
  const [first] = memberships;
  assert(first?.id);
  assert.deepEqual(await sdk.memberships.get(first.id), first);
  assert.deepEqual(await collect(sdk.memberships.list({ account: { name: 'default' } })), [first]);
  await sdk.accounts.delete({ account_id: account.id });
  works('memberships');
});

test('accounts, zones and the user are changed', async () => {
  const { account_id, zone_id } = server;
  const account = await sdk.accounts.update({
    account_id,
    id: account_id,
    name: 'renamed',
    type: 'standard',
  });
  assert.equal(account.name, 'renamed');
  const zone = await sdk.zones.edit({ zone_id, paused: true });
  assert.deepEqual([zone.paused, zone.account.name], [true, 'renamed']);
  const servers = ['ns1.example.com'];
  const vanity = await sdk.zones.edit({ zone_id, vanity_name_servers: servers });
  assert.deepEqual(vanity.vanity_name_servers, servers);
  const user = await sdk.user.edit({ first_name: 'Ada', zipcode: null });
  assert.equal(user.first_name, 'Ada');
});

test('an account owns tokens', async () => {
  const { account_id } = server;
  const groups = await collect(
    sdk.accounts.tokens.permissionGroups.list({
      account_id,
      name: encodeURIComponent('SSL and Certificates Read'),
    }),
  );
  assert.deepEqual(
    groups.map(({ id }) => id),
    [SSL_READ],
  );
  const resources = { [`com.cloudflare.api.account.${account_id}`]: '*' };
  const policy = { effect: 'allow' as const, permission_groups: [{ id: SSL_READ }], resources };
  const body = { account_id, name: 'pipeline', policies: [policy] };
  const made = await sdk.accounts.tokens.create(body);
  assert(made.id && made.value);
  const listed = await collect(sdk.accounts.tokens.list({ account_id, direction: 'desc' }));
  assert.deepEqual(
    listed.map(({ id }) => id),
    [made.id],
  );
  assert.equal((await sdk.accounts.tokens.get(made.id, { account_id })).name, 'pipeline');

  const own = connect(server, wire, made.value);
  assert.equal((await own.accounts.tokens.verify({ account_id })).id, made.id);
  await fails(wire, Cloudflare.PermissionDeniedError, 403, 9109, () => own.user.get());
  const renamed = await sdk.accounts.tokens.update(made.id, { ...body, name: 'renamed' });
  assert.equal(renamed.name, 'renamed');
  const value = await sdk.accounts.tokens.value.update(made.id, { account_id });
  assert.notEqual(value, made.value);
  await fails(wire, Cloudflare.AuthenticationError, 401, 1000, () =>
    own.accounts.tokens.verify({ account_id }),
  );
  assert.equal((await sdk.accounts.tokens.delete(made.id, { account_id }))?.id, made.id);
  works('every method of the tokens of an account');
});

test('audit logs of both versions end', async () => {
  const { account_id } = server;
  const pages = await collect(sdk.auditLogs.list({ account_id, per_page: 2 }));
  const days = { since: '2020-01-01', before: '2999-01-01' };
  const logs = await collect(sdk.accounts.logs.audit.list({ account_id, ...days, limit: 2 }));
  assert.deepEqual(
    pages.map(({ id }) => id),
    logs.map(({ id }) => id),
  );
  const creations = await collect(
    sdk.accounts.logs.audit.list({
      account_id,
      ...days,
      action_type: { not: ['update', 'delete'] },
      limit: 2,
    }),
  );
  assert(creations.length > 0 && creations.length < logs.length);
  assert(creations.every(({ action }) => action?.type === 'create'));
  assert((await collect(sdk.user.auditLogs.list({ action: { type: 'update' } }))).length > 0);
  works('audit logs of both versions');
});

// The last test, because it checks the answers of the tests above.
test('the declarations accept every answer', () => declarationsAccept('routes', wire));
