// docs/recipes.md: runs the recipe for TypeScript as it stands there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { compile } from './declarations.js';
import { connect, makeCsr, recipes, serve, Wire } from './harness.js';

test('the recipe compiles strictly and does what it says', async () => {
  const code = /^## TypeScript \(executed\)$.*?^```ts$\n(.*?)^```$/ms.exec(
    readFileSync(recipes(), 'utf8'),
  )?.[1];
  assert(code, 'the document has the recipe');
  const built = join(process.cwd(), 'built');
  writeFileSync(join(built, 'recipe.ts'), code);
  compile('built/recipe.ts', '--outDir', 'built');
  writeFileSync(join(built, 'device.csr'), makeCsr('/CN=device-1'));

  const server = await serve();
  const { base, token, zone_id } = server;
  const env = {
    ...process.env,
    CLOUDFLARE_BASE_URL: base,
    CLOUDFLARE_API_TOKEN: token,
    ZONE_ID: zone_id,
  };
  const done = spawnSync(process.execPath, ['recipe.js'], { cwd: built, env, encoding: 'utf8' });
  const [certificate] = (await connect(server, new Wire()).clientCertificates.list({
    zone_id,
    status: 'all',
  })).result;
  await server.stop();
  assert.equal(done.status, 0, done.stderr);
  assert(certificate?.id && done.stdout.includes(certificate.id), 'it shows what it lists');
  assert.match(done.stdout, /pending_reactivation\n$/);
});
