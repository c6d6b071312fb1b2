import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { interpret, TEXT_MAX } from '../js/certificates/search-box.js';
import { isSame, readCertificate } from '../js/x509.js';

const pem = readFileSync(new URL('fixtures/leaf.pem', import.meta.url), 'utf8');
const serial = '46:25:2f:49:0f:b7:33:88:b8:e9:47:fb:71:28:a4:05:73:07:d8:d6';

/** @param {string} typed */
function meanings(typed) {
  const { candidates, problem } = interpret(typed);
  return problem ?? candidates.map(({ meaning, value }) => `${meaning} ${value}`);
}

test('a name is looked for at the beginning, then inside', () => {
  assert.deepEqual(meanings(' laptop '), ['begins laptop', 'contains laptop']);
  assert.deepEqual(meanings('la'), ['begins la']);
  assert.deepEqual(meanings('🦀🦀🦀'), ['begins 🦀🦀🦀', 'contains 🦀🦀🦀']);
  assert.deepEqual(meanings('"laptop-17"'), ['exact laptop-17']);
  assert.deepEqual(meanings('laptop-*'), ['begins laptop-']);
  assert.deepEqual(meanings('*top*'), ['contains top']);
  for (const bad of ['*top', 'a*b', '**']) {
    assert.equal(meanings(bad), 'star');
  }
  assert.equal(meanings('é'.repeat(513)), 'tooLong');
  assert.equal(meanings('a'.repeat(TEXT_MAX + 1)), 'tooLong');
  assert.deepEqual(meanings('  '), []);
});

test('digits can be a name, an ID, a serial number or a fingerprint', () => {
  assert.deepEqual(meanings('facade'), [
    'begins facade',
    'id facade',
    'serial facade',
    'contains facade',
  ]);
  const id = 'e2cec362e34c89cf9a95a7e78b828dd0';
  assert.deepEqual(meanings(id).slice(0, 2), [`id ${id}`, `serial ${id}`]);
  const digits = serial.replaceAll(':', '');
  assert.deepEqual(meanings(digits)[0], `serial ${digits}`);
  assert.deepEqual(meanings(serial.toUpperCase())[0], `serial ${serial}`);
  assert.deepEqual(meanings(serial.replaceAll(':', ' '))[0], `serial ${serial}`);
  assert.deepEqual(meanings(`serial=${digits.toUpperCase()}`)[0], `serial ${digits}`);
  const decimal = '400437263184312345678901234567890123456789012345';
  assert.deepEqual(meanings(decimal)[0], `serial ${decimal}`);
  const fingerprint = 'ab'.repeat(32);
  assert.deepEqual(meanings(fingerprint)[0], `fingerprint ${fingerprint}`);
  const printed = `sha256 Fingerprint=${Array(32).fill('AB').join(':')}`;
  assert.deepEqual(meanings(printed)[0], `fingerprint ${fingerprint}`);
});

test('a certificate is found by its serial number, in every form in which it is copied', () => {
  const base64 = pem.replace(/-----.*-----|\s/g, '');
  for (const copied of [
    pem,
    `Certificate:\n  Data\n${pem}${pem}`,
    pem.replaceAll('\n', ''),
    pem.replaceAll('\n', '\r\n'),
    encodeURIComponent(pem),
    base64,
    `:${base64}:`,
  ]) {
    const { candidates, certificate } = interpret(copied);
    assert.equal(candidates.length, 1);
    const [found] = candidates;
    assert.equal(found?.meaning, 'pasted');
    assert.equal(found?.value.replaceAll(':', ''), certificate?.serial);
  }
});

test('a private key, a request and a cut certificate are refused', () => {
  assert.equal(meanings('-----BEGIN EC PRIVATE KEY-----\nMHcC'), 'privateKey');
  assert.equal(meanings(`${pem}-----BEGIN PRIVATE KEY-----\n`), 'privateKey');
  assert.equal(meanings('-----BEGIN CERTIFICATE REQUEST-----\nMIIB'), 'request');
  for (const cut of [
    pem.slice(0, 300),
    pem.replace('MII', 'MIX'),
    `${pem.slice(0, 200)}-----END`,
  ]) {
    assert.equal(meanings(cut), 'malformed');
  }
});

test('the same certificate with another signature is the same', () => {
  const { certificate } = interpret(pem);
  assert.ok(certificate);
  const der = Uint8Array.from(atob(pem.replace(/-----.*-----|\s/g, '')), (one) =>
    one.charCodeAt(0),
  );
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
  assert.ok(isSame(certificate, readCertificate(der)));
  der[30] = (der[30] ?? 0) ^ 1;
  assert.ok(!isSame(certificate, readCertificate(der)));
});
