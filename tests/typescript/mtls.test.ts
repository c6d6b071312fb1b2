// The official TypeScript SDK, unmodified: uploaded CAs and certificates.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import Cloudflare from 'cloudflare';

import { declarationsAccept } from './declarations.js';
import { collect, connect, fails, serve, Wire, works, type Server } from './harness.js';

const wire = new Wire();
let server: Server;
let sdk: Cloudflare;

before(async () => {
  server = await serve();
  sdk = connect(server, wire);
});
after(() => server.stop());

/** A self-signed root and its key, by openssl. */
function makeRoot(name: string): { certificates: string; private_key: string } {
  const place = mkdtempSync(join(tmpdir(), 'root-'));
  const [key, certificate] = [join(place, 'key.pem'), join(place, 'root.pem')];
  const kind = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key];
  const request = [
    'req',
    '-x509',
    ...kind,
    '-subj',
    `/O=Example/CN=${name}`,
    '-days',
    '365',
    '-out',
    certificate,
  ];
  execFileSync('openssl', request, { stdio: 'ignore' });
  const made = {
    certificates: readFileSync(certificate, 'utf8'),
    private_key: readFileSync(key, 'utf8'),
  };
  rmSync(place, { recursive: true });
  return made;
}

test('an uploaded CA is created, found, used and deleted', async () => {
  const { account_id, zone_id } = server;
  const { certificates, private_key } = makeRoot('brought');
  const made = await sdk.mtlsCertificates.create({
    account_id,
    ca: true,
    certificates,
    private_key,
    name: 'root',
  });
  const id = made.id;
  assert(id && made.updated_at);
  assert.deepEqual(
    [made.name, made.ca, made.certificates, made.type],
    ['root', true, certificates, 'custom'],
  );
  assert.match(made.serial_number ?? '', /^[0-9]+$/);
  assert(
    !JSON.stringify(wire.exchanges.at(-1)?.body).includes('PRIVATE KEY'),
    'the key is never returned',
  );

  const got = await sdk.mtlsCertificates.get(id, { account_id });
  const { updated_at: _, ...rest } = made;
  assert.deepEqual(got, rest);
  assert.deepEqual(await collect(sdk.mtlsCertificates.list({ account_id })), [got]);
  assert.deepEqual(
    await collect(sdk.mtlsCertificates.list({ account_id, type: ['custom', 'access_managed'] })),
    [got],
  );
  assert.deepEqual(
    await collect(sdk.mtlsCertificates.list({ account_id, type: ['gateway_managed'] })),
    [],
  );
  await fails(wire, Cloudflare.BadRequestError, 400, 1471, () =>
    sdk.mtlsCertificates.create({ account_id, ca: true, certificates }),
  );

  const { name } = await sdk.zones.get({ zone_id });
  const hostnames = [`device.${name}`];
  const associations = sdk.certificateAuthorities.hostnameAssociations;
  await associations.update({ zone_id, hostnames, mtls_certificate_id: id });
  assert.deepEqual(
    (await associations.get({ zone_id, mtls_certificate_id: id })).hostnames,
    hostnames,
  );
  const uses = await collect(sdk.mtlsCertificates.associations.get(id, { account_id }));
  assert(
    uses.length > 0 && uses.every(({ service, status }) => service && status),
    'its use shows',
  );
  const inUse = async () => sdk.mtlsCertificates.delete(id, { account_id });
  await assert.rejects(inUse, Cloudflare.BadRequestError);

  await associations.update({ zone_id, hostnames: [], mtls_certificate_id: id });
  assert.deepEqual(await collect(sdk.mtlsCertificates.associations.get(id, { account_id })), []);
  assert.equal((await sdk.mtlsCertificates.delete(id, { account_id })).id, id);
  await fails(wire, Cloudflare.NotFoundError, 404, 1472, () =>
    sdk.mtlsCertificates.get(id, { account_id }),
  );
  assert.deepEqual(await collect(sdk.mtlsCertificates.list({ account_id })), []);
  works('every method of mTLS certificates');
});

// The last test, because it checks the answers of the test above.
test('the declarations accept every answer', () => declarationsAccept('mtls', wire));
