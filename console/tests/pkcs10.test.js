// Requests in the browser: judged by the server's own corpus, and created for openssl to judge.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import {
  NEW_KEYS,
  RequestProblem,
  createRequest,
  findRequest,
  readRequest,
  textOfFile,
  verifySignature,
} from '../js/requests/pkcs10.js';

const CORPUS = new URL('../../crates/pki/tests/fixtures/', import.meta.url);

/** @param {string} text */
async function judge(text) {
  try {
    const request = readRequest(findRequest(text));
    return { request, verdict: await verifySignature(request) };
  } catch (error) {
    if (error instanceof RequestProblem) {
      return { verdict: error.code };
    }
    throw error;
  }
}

test('a request that the server accepts is never refused in the browser', async () => {
  const files = readdirSync(CORPUS).filter((name) => name.startsWith('good_'));
  assert.ok(files.length > 20);
  for (const name of files) {
    const { verdict } = await judge(readFileSync(new URL(name, CORPUS), 'utf8'));
    assert.equal(verdict, 'valid', name);
  }
});

test('the problems of a request are named before it is sent', async () => {
  /** @type {Record<string, string>} */
  const expected = {
    algorithm_of_another_key: 'invalid',
    base64_broken: 'not_base64',
    certificate: 'wrong_label',
    curve_explicit: 'curve',
    curve_p224: 'curve',
    curve_secp256k1: 'curve',
    der_cut_off: 'malformed',
    der_garbage: 'malformed',
    der_indefinite_length: 'malformed',
    der_trailing_bytes: 'trailing_bytes',
    ed25519_31_bytes: 'key_invalid',
    key_ed448: 'key_algorithm',
    no_end_line: 'cut_off',
    point_compressed: 'compressed_point',
    point_infinity: 'key_invalid',
    point_off_curve: 'unknown',
    point_too_short: 'key_invalid',
    private_key: 'private_key',
    private_key_beside: 'private_key',
    public_key: 'wrong_label',
    rsa_1024: 'rsa_size',
    rsa_2047: 'rsa_size',
    rsa_8200: 'rsa_size',
    rsa_exponent_1: 'rsa_exponent',
    rsa_exponent_40_bits: 'rsa_exponent',
    rsa_exponent_even: 'rsa_exponent',
    rsa_modulus_even: 'key_invalid',
    rsa_modulus_negative: 'key_invalid',
    several_blocks: 'several',
    signature_flipped: 'invalid',
    signature_unused_bits: 'malformed',
    signed_with_another_key: 'invalid',
    signed_with_sha1_ecdsa: 'signature_algorithm',
    signed_with_sha1_rsa: 'signature_algorithm',
    something_after_signature: 'malformed',
    subject_changed: 'invalid',
    subject_no_sets: 'malformed',
    subject_not_utf8: 'subject_unreadable',
    too_large: 'too_large',
  };
  const suffix = '.csr.pem';
  const found = {};
  for (const name of readdirSync(CORPUS)) {
    if (name.endsWith(suffix) && !name.startsWith('good_')) {
      const { verdict } = await judge(readFileSync(new URL(name, CORPUS), 'utf8'));
      Object.assign(found, { [name.slice(0, -suffix.length)]: verdict });
    }
  }
  assert.deepEqual(found, expected);
});

test('openssl accepts the requests and keys that the browser creates', async () => {
  const subject = [
    { name: 'country', value: 'CH' },
    { name: 'organization', value: 'Gerät & Söhne' },
    { name: 'common_name', value: 'laptop-17 ✓' },
    { name: 'email_address', value: 'ops@example.com' },
  ];
  /** @type {import('../js/requests/pkcs10.js').AlternativeName[]} */
  const names = [
    { kind: 'dns', value: 'laptop-17.example.com' },
    { kind: 'email', value: 'laptop-17@example.com' },
    { kind: 'uri', value: 'spiffe://example.com/laptop-17' },
  ];
  for (const keyType of NEW_KEYS) {
    const { csr, privateKey } = await createRequest(keyType, subject, names);
    const { request, verdict } = await judge(csr);
    assert.equal(verdict, 'valid', keyType);
    assert.deepEqual(request?.subject, subject);
    assert.deepEqual(request?.names, names);
    assert.equal(request?.keyType, keyType);

    const openssl =
      (/** @type {string[]} */ ...options) =>
      (/** @type {string} */ input) =>
        execFileSync('openssl', options, { input, encoding: 'utf8', stdio: 'pipe' });
    const shown = openssl('req', '-verify', '-noout', '-subject', '-nameopt', 'utf8')(csr);
    assert.ok(shown.includes('CN=laptop-17 ✓'), shown);
    const ofRequest = openssl('req', '-noout', '-pubkey')(csr);
    assert.equal(openssl('pkey', '-pubout')(privateKey), ofRequest);
  }
});

test('a request without names has no extension, and an empty subject is read', async () => {
  const { csr } = await createRequest('P-256', [], []);
  const { request, verdict } = await judge(csr);
  assert.equal(verdict, 'valid');
  assert.deepEqual([request?.subject, request?.names], [[], []]);
});

test('files in DER, UTF-16 and PEM are read', async () => {
  const text = readFileSync(new URL('good_p256_sha256.csr.pem', CORPUS), 'utf8');
  const der = findRequest(text);
  const wide = Buffer.from(`\ufeff${text}`, 'utf16le');
  for (const file of [der, wide, Buffer.from(text)]) {
    const copy = new Uint8Array(file);
    assert.deepEqual(findRequest(textOfFile(copy.buffer)), der);
  }
});
