// The official TypeScript SDK, unmodified: the hostnames that ask for a client certificate.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import Cloudflare from 'cloudflare';

import { declarationsAccept } from './declarations.js';
import { connect, fails, serve, Wire, works, type Server } from './harness.js';

const wire = new Wire();
let server: Server;
let sdk: Cloudflare;

before(async () => {
  server = await serve();
  sdk = connect(server, wire);
});
after(() => server.stop());

test('the list of hostnames is replaced as a whole, its order and spelling kept', async () => {
  const { zone_id } = server;
  const { name } = await sdk.zones.get({ zone_id });
  const associations = sdk.certificateAuthorities.hostnameAssociations;
  wire.take();
  assert.deepEqual((await associations.get({ zone_id })).hostnames, []);
  const hostnames = [`b.${name}`, `A.${name}`, name];
  assert.deepEqual((await associations.update({ zone_id, hostnames })).hostnames, hostnames);
  assert.deepEqual((await associations.get({ zone_id })).hostnames, hostnames);
  assert.equal(wire.take().length, 3);
  const foreign = () => associations.update({ zone_id, hostnames: ['elsewhere.invalid'] });
  await assert.rejects(async () => foreign(), Cloudflare.BadRequestError);
  assert.equal(wire.take().length, 1);
  assert.deepEqual(
    (await associations.get({ zone_id })).hostnames,
    hostnames,
    'a refused list changes nothing',
  );
  assert.deepEqual((await associations.update({ zone_id })).hostnames, [], 'absent means empty');
  const missing = '0'.repeat(32);
  await fails(wire, Cloudflare.NotFoundError, 404, 7003, () =>
    associations.get({ zone_id: missing }),
  );
  works('every method of hostname associations');
});

// The last test, because it checks the answers of the test above.
test('the declarations accept every answer', () => declarationsAccept('hostnames', wire));
