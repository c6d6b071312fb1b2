// The official TypeScript SDK, unmodified: the life of certificates, zones, accounts and tokens.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import Cloudflare from 'cloudflare';

import { declarationsAccept } from './declarations.js';
import {
  collect,
  connect,
  eventually,
  fails,
  makeCsr,
  serve,
  Wire,
  works,
  type Server,
} from './harness.js';

// More than every page size in the tests, and not a multiple of any.
const CERTIFICATES = 130;

const wire = new Wire();
let server: Server;
let sdk: Cloudflare;
let csr: string;

before(async () => {
  server = await serve();
  sdk = connect(server, wire);
  csr = makeCsr();
});
after(() => server.stop());

const settled = (id: string, status: string) =>
  eventually(
    async () => sdk.clientCertificates.get(id, { zone_id: server.zone_id }),
    (certificate) => certificate.status === status,
  );

test('a certificate is created, found, revoked and restored', async () => {
  const { zone_id } = server;
  const path = `/zones/${zone_id}/client_certificates`;
  wire.take();
  const made = await sdk.clientCertificates.create({ zone_id, csr, validity_days: 3650 });
  assert(made.id);
  assert.deepEqual([made.status, made.csr, made.validity_days], ['active', csr, 3650]);
  const listed = await sdk.clientCertificates.list({ zone_id });
  assert.equal(listed.result[0]?.id, made.id, 'a list right after the write shows it');
  assert.deepEqual(await sdk.clientCertificates.get(made.id, { zone_id }), made);
  const revoked = await sdk.clientCertificates.delete(made.id, { zone_id });
  assert.equal(revoked.status, 'pending_revocation');
  assert.deepEqual(wire.take(), [
    `POST ${path}`,
    `GET ${path}`,
    `GET ${path}/${made.id}`,
    `DELETE ${path}/${made.id}`,
  ]);
  await settled(made.id, 'revoked');
  wire.take();
  assert.equal(
    (await sdk.clientCertificates.edit(made.id, { zone_id })).status,
    'pending_reactivation',
  );
  assert.deepEqual(wire.take(), [`PATCH ${path}/${made.id}`]);
  assert.deepEqual(await settled(made.id, 'active'), made);
  const edited = await sdk.clientCertificates.edit(made.id, { zone_id, reactivate: true });
  assert.deepEqual(edited, made, 'what is active stays so');
  works('every method of client certificates');
});

test('auto-paging ends and brings everything once', async () => {
  const zone = await sdk.zones.create({ account: { id: server.account_id }, name: 'many.example' });
  const ids: string[] = [];
  for (let count = 0; count < CERTIFICATES; count += 1) {
    const made = await sdk.clientCertificates.create({ zone_id: zone.id, csr, validity_days: 365 });
    assert(made.id);
    ids.unshift(made.id);
  }
  for (const [parameters, first, size] of [
    [{}, 0, 20],
    [{ per_page: 50 }, 0, 50],
    [{ per_page: 13 }, 0, 13],
    [{ limit: 50, offset: 0 }, 0, 50],
    [{ limit: 49, offset: 30 }, 30, 49],
    [{ limit: 1000, offset: 0 }, 0, 1000],
    [{ page: 2, per_page: 50, status: 'active' }, 50, 50],
  ] as const) {
    wire.take();
    const found = await collect(sdk.clientCertificates.list({ zone_id: zone.id, ...parameters }));
    const wanted = ids.slice(first);
    assert.deepEqual(
      found.map(({ id }) => id),
      wanted,
      JSON.stringify(parameters),
    );
    // Every page once, then the empty page at the end.
    assert.equal(wire.take().length, Math.ceil(wanted.length / size) + 1);
  }
  assert.deepEqual(
    await collect(sdk.clientCertificates.list({ zone_id: zone.id, status: 'revoked' })),
    [],
  );
  works('automatic paging');
});

test('errors have the class that callers catch, and are not tried again', async () => {
  const { zone_id } = server;
  const missing = '0'.repeat(32);
  const certificates = sdk.clientCertificates;
  const { BadRequestError, NotFoundError, PermissionDeniedError, AuthenticationError } = Cloudflare;
  await fails(wire, NotFoundError, 404, 1415, () => certificates.get(missing, { zone_id }));
  await fails(wire, NotFoundError, 404, 1415, () => certificates.delete('no-id', { zone_id }));
  await fails(wire, NotFoundError, 404, 7003, () => certificates.list({ zone_id: 'no-zone' }));
  await fails(wire, NotFoundError, 404, 7003, () =>
    certificates.list({ zone_id: missing }),
  );
  await fails(wire, BadRequestError, 400, 1420, () =>
    certificates.create({ zone_id, csr: 'none', validity_days: 1 }),
  );
  await fails(wire, BadRequestError, 400, 1440, () =>
    certificates.create({ zone_id, csr, validity_days: 0 }),
  );
  await fails(wire, BadRequestError, 400, 9208, () => certificates.list({ zone_id, per_page: 51 }));
  const stranger = connect(server, wire, 'f'.repeat(40));
  await fails(wire, PermissionDeniedError, 403, 9109, () =>
    stranger.clientCertificates.list({ zone_id }),
  );
  await fails(wire, AuthenticationError, 401, 1000, () => stranger.user.tokens.verify());
  works('errors of the class that callers catch, without a retry');
});

test('zones come and go', async () => {
  const account = { id: server.account_id };
  const zone = await sdk.zones.create({ account, name: 'sdk.example' });
  assert.deepEqual(
    [zone.name, zone.status, zone.account.id],
    ['sdk.example', 'active', account.id],
  );
  await fails(wire, Cloudflare.BadRequestError, 400, 1061, () =>
    sdk.zones.create({ account, name: 'sdk.example' }),
  );
  assert.deepEqual(await sdk.zones.get({ zone_id: zone.id }), zone);
  assert.deepEqual(await collect(sdk.zones.list({ name: 'sdk.example' })), [zone]);
  assert.deepEqual(await collect(sdk.zones.list({ name: 'starts_with:sdk.', account })), [zone]);
  assert.deepEqual(await collect(sdk.zones.list({ account: { id: '0'.repeat(32) } })), []);
  const every = await collect(
    sdk.zones.list({ per_page: 5, order: 'name', direction: 'desc', match: 'all' }),
  );
  assert(every.some(({ id }) => id === zone.id) && every.some(({ id }) => id === server.zone_id));
  assert.equal((await sdk.zones.delete({ zone_id: zone.id }))?.id, zone.id);
  await fails(wire, Cloudflare.NotFoundError, 404, 7003, () =>
    sdk.zones.get({ zone_id: zone.id }),
  );
});

test('accounts come and go', async () => {
  const account = await sdk.accounts.create({ name: 'sdk' });
  assert.equal(account.name, 'sdk');
  assert.deepEqual(await sdk.accounts.get({ account_id: account.id }), account);
  const names = (await collect(sdk.accounts.list())).map(({ name }) => name);
  assert.deepEqual(names.sort(), ['default', 'sdk']);
  assert.deepEqual(await collect(sdk.accounts.list({ name: 'sdk' })), [account]);
  assert.equal((await sdk.accounts.delete({ account_id: account.id }))?.id, account.id);
  await fails(wire, Cloudflare.NotFoundError, 404, 7003, () =>
    sdk.accounts.get({ account_id: account.id }),
  );
  works('zones and accounts');
});

test('tokens are made, changed, rolled and deleted', async () => {
  assert((await sdk.user.get()).id);
  assert.equal((await sdk.user.tokens.verify()).status, 'active');
  const groups = await collect(sdk.user.tokens.permissionGroups.list());
  const group = groups.find(({ name }) => name === 'SSL and Certificates Read');
  assert(group?.id);
  const { zone_id } = server;
  const resources = { [`com.cloudflare.api.account.zone.${zone_id}`]: '*' };
  const policies = [{ effect: 'allow', permission_groups: [{ id: group.id }], resources }] as const;
  const condition = { request_ip: { in: ['127.0.0.0/8'], not_in: ['127.9.9.9'] } };
  const body = {
    name: 'reader',
    policies: [...policies].map((p) => ({ ...p, permission_groups: [...p.permission_groups] })),
    condition,
  };
  const made = await sdk.user.tokens.create({ ...body, expires_on: '2099-01-01T00:00:00Z' });
  assert(made.id && made.value);
  const token = await sdk.user.tokens.get(made.id);
  assert.deepEqual(token.condition?.request_ip, condition.request_ip);
  assert(!JSON.stringify(token).includes(made.value), 'the value is told once');
  assert((await collect(sdk.user.tokens.list({ per_page: 5 }))).some(({ id }) => id === made.id));

  const reader = connect(server, wire, made.value);
  assert.equal((await reader.user.tokens.verify()).id, made.id);
  assert((await reader.clientCertificates.list({ zone_id })).result.length > 0);
  const refused = () => reader.clientCertificates.create({ zone_id, csr, validity_days: 1 });
  await fails(wire, Cloudflare.PermissionDeniedError, 403, 9109, refused);

  const disabled = await sdk.user.tokens.update(made.id, {
    ...body,
    name: 'resting',
    status: 'disabled',
  });
  assert.deepEqual([disabled.name, disabled.status], ['resting', 'disabled']);
  await fails(wire, Cloudflare.PermissionDeniedError, 403, 9109, () =>
    reader.clientCertificates.list({ zone_id }),
  );
  await sdk.user.tokens.update(made.id, { ...body, status: 'active' });

  const rolled = await sdk.user.tokens.value.update(made.id);
  assert.notEqual(rolled, made.value);
  await fails(wire, Cloudflare.PermissionDeniedError, 403, 9109, () =>
    reader.clientCertificates.list({ zone_id }),
  );
  assert.equal((await connect(server, wire, rolled).user.tokens.verify()).status, 'active');

  assert.equal((await sdk.user.tokens.delete(made.id))?.id, made.id);
  await fails(wire, Cloudflare.NotFoundError, 404, 1003, () =>
    sdk.user.tokens.get(made.id as string),
  );
  works('the user and its tokens');
});

// The last test, because it checks the answers of the tests above.
test('the declarations accept every answer', () => declarationsAccept('life', wire));
