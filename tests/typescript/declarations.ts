// Checks the answers against the type declarations of the SDK.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

import type { Wire } from './harness.js';

/** The SDK's method behind each route; `many` where the answer is a list of its items. */
const METHODS: [string, RegExp, string, ('one' | 'many')?][] = [
  ['POST', /^\/zones\/\w+\/client_certificates$/, 'clientCertificates.create'],
  ['GET', /^\/zones\/\w+\/client_certificates$/, 'clientCertificates.list', 'many'],
  ['GET', /^\/zones\/\w+\/client_certificates\/\w+$/, 'clientCertificates.get'],
  ['PATCH', /^\/zones\/\w+\/client_certificates\/\w+$/, 'clientCertificates.edit'],
  ['DELETE', /^\/zones\/\w+\/client_certificates\/\w+$/, 'clientCertificates.delete'],
  [
    'PUT',
    /^\/zones\/\w+\/certificate_authorities\/hostname_associations$/,
    'certificateAuthorities.hostnameAssociations.update',
  ],
  [
    'GET',
    /^\/zones\/\w+\/certificate_authorities\/hostname_associations$/,
    'certificateAuthorities.hostnameAssociations.get',
  ],
  ['POST', /^\/accounts\/\w+\/mtls_certificates$/, 'mtlsCertificates.create'],
  ['GET', /^\/accounts\/\w+\/mtls_certificates$/, 'mtlsCertificates.list', 'many'],
  ['GET', /^\/accounts\/\w+\/mtls_certificates\/[\w-]+$/, 'mtlsCertificates.get'],
  ['DELETE', /^\/accounts\/\w+\/mtls_certificates\/[\w-]+$/, 'mtlsCertificates.delete'],
  [
    'GET',
    /^\/accounts\/\w+\/mtls_certificates\/[\w-]+\/associations$/,
    'mtlsCertificates.associations.get',
    'many',
  ],
  ['POST', /^\/zones$/, 'zones.create'],
  ['GET', /^\/zones$/, 'zones.list', 'many'],
  ['GET', /^\/zones\/\w+$/, 'zones.get'],
  ['DELETE', /^\/zones\/\w+$/, 'zones.delete'],
  ['POST', /^\/accounts$/, 'accounts.create'],
  ['GET', /^\/accounts$/, 'accounts.list', 'many'],
  ['GET', /^\/accounts\/\w+$/, 'accounts.get'],
  ['DELETE', /^\/accounts\/\w+$/, 'accounts.delete'],
  ['PUT', /^\/accounts\/\w+$/, 'accounts.update'],
  ['PATCH', /^\/zones\/\w+$/, 'zones.edit'],
  ['PATCH', /^\/user$/, 'user.edit'],
  ['GET', /^\/memberships$/, 'memberships.list', 'many'],
  ['GET', /^\/memberships\/\w+$/, 'memberships.get'],
  ['GET', /^\/accounts\/\w+\/tokens\/verify$/, 'accounts.tokens.verify'],
  [
    'GET',
    /^\/accounts\/\w+\/tokens\/permission_groups$/,
    'accounts.tokens.permissionGroups.list',
    'many',
  ],
  ['POST', /^\/accounts\/\w+\/tokens$/, 'accounts.tokens.create'],
  ['GET', /^\/accounts\/\w+\/tokens$/, 'accounts.tokens.list', 'many'],
  ['GET', /^\/accounts\/\w+\/tokens\/\w+$/, 'accounts.tokens.get'],
  ['PUT', /^\/accounts\/\w+\/tokens\/\w+$/, 'accounts.tokens.update'],
  ['DELETE', /^\/accounts\/\w+\/tokens\/\w+$/, 'accounts.tokens.delete'],
  ['PUT', /^\/accounts\/\w+\/tokens\/\w+\/value$/, 'accounts.tokens.value.update'],
  ['GET', /^\/accounts\/\w+\/audit_logs$/, 'auditLogs.list', 'many'],
  ['GET', /^\/user\/audit_logs$/, 'user.auditLogs.list', 'many'],
  ['GET', /^\/accounts\/\w+\/logs\/audit$/, 'accounts.logs.audit.list', 'many'],
  ['GET', /^\/user$/, 'user.get'],
  ['GET', /^\/user\/tokens\/verify$/, 'user.tokens.verify'],
  ['GET', /^\/user\/tokens\/permission_groups$/, 'user.tokens.permissionGroups.list', 'many'],
  ['POST', /^\/user\/tokens$/, 'user.tokens.create'],
  ['GET', /^\/user\/tokens$/, 'user.tokens.list', 'many'],
  ['GET', /^\/user\/tokens\/\w+$/, 'user.tokens.get'],
  ['PUT', /^\/user\/tokens\/\w+$/, 'user.tokens.update'],
  ['DELETE', /^\/user\/tokens\/\w+$/, 'user.tokens.delete'],
  ['PUT', /^\/user\/tokens\/\w+\/value$/, 'user.tokens.value.update'],
];

/**
 * Members of answers beyond the declarations. A member that is neither declared nor here is an error
 * of the compiler.
 */
const ADDITIONS: [RegExp, string][] = [
  [/^accounts\.(create|get|list|update)$/, '{ authority_algorithm: string }'],
  [/^memberships\./, '{ account?: { authority_algorithm?: string } }'],
  [/^accounts\.logs\.audit\.list$/, '{ certgate: object }'],
  [/^user\.(edit|get)$/, '{ created_on: string; modified_on: string }'],
  // The reference has another name for request_ip of the SDK. certgate answers with both.
  [
    /^user\.tokens\.(create|get|list|update)$/,
    "{ condition?: { 'request.ip': { in?: string[]; not_in?: string[] } } }",
  ],
];

/** Writes each successful answer as a literal of its declared type, and compiles it strictly. */
export function declarationsAccept(name: string, wire: Wire): void {
  const answers = wire.exchanges.filter(({ status }) => status === 200);
  assert(answers.length > 0, 'nothing was answered');
  const lines = ["import type Cloudflare from 'cloudflare';"];
  for (const { method, path, body } of answers) {
    const route = path.replace(/^\/client\/v4/, '').replace(/\?.*$/, '');
    const found = METHODS.find(([verb, form]) => verb === method && form.test(route));
    assert(found, `${method} ${route} has no method`);
    const [, , called, count = 'one'] = found;
    const members = called.split('.').map((member) => `['${member}']`);
    const declared = `Awaited<ReturnType<Cloudflare${members.join('')}>>`;
    const type = count === 'one' ? declared : `${declared}['result']`;
    const addition = ADDITIONS.find(([methods]) => methods.test(called))?.[1];
    const item = count === 'many' ? `${type}[number]` : type;
    const whole = addition ? `(${item} & ${addition})` : item;
    const array = count === 'many' ? '[]' : '';
    lines.push(`(${JSON.stringify(body.result)}) satisfies ${whole}${array};`);
  }
  const file = `built/answers-${name}.ts`;
  writeFileSync(file, lines.join('\n') + '\n');
  compile(file, '--noEmit');
}

/** Compiles a file below the working directory, strictly. */
export function compile(file: string, ...options: string[]): void {
  const compiler = 'node_modules/typescript/bin/tsc';
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', '--ignoreConfig'];
  const modules = ['--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
  const done = spawnSync(process.execPath, [compiler, ...strict, ...modules, ...options, file], {
    encoding: 'utf8',
  });
  assert.equal(
    done.status,
    0,
    `the compiler does not accept ${file}:\n${done.stdout}${done.stderr}`,
  );
}
