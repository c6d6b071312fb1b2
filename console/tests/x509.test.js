import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { derOfPem, readCertificate } from '../js/x509.js';

const pem = readFileSync(new URL('fixtures/leaf.pem', import.meta.url), 'utf8');
const der = derOfPem(pem) ?? new Uint8Array();

test('every field is shown as openssl prints it', () => {
  const certificate = readCertificate(der);
  assert.equal(certificate.serial, '46252f490fb73388b8e947fb7128a4057307d8d6');
  assert.equal(certificate.subject, 'C=US, O=Example\\, Inc., CN=laptop-16');
  assert.equal(certificate.issuer, certificate.subject);
  assert.equal(certificate.key, 'EC P-256');
  const shown = certificate.extensions.map(({ name, critical, values }) => {
    return `${name}${critical ? ' critical' : ''}: ${values.join(' ')}`;
  });
  const id = 'f0:71:15:1a:ca:17:ff:f1:5c:cb:a9:60:02:67:60:ee:cc:a5:e4:b8';
  assert.deepEqual(shown, [
    `subjectKeyIdentifier: ${id}`,
    `authorityKeyIdentifier: ${id}`,
    'keyUsage critical: digitalSignature',
    'extKeyUsage: clientAuth',
    'basicConstraints critical: CA:FALSE',
    'subjectAltName: DNS:laptop-16.example.com email:a@example.com IP:192.0.2.1 ' +
      'https://example.com/x',
    'cRLDistributionPoints: http://pki.example.com/crl/0.crl',
    'authorityInfoAccess: OCSP: http://pki.example.com/ocsp caIssuers: ' +
      'http://pki.example.com/ca.crt',
  ]);
});

test('a certificate that ends early is refused at every octet', () => {
  for (let end = 0; end < der.length; end += 1) {
    assert.throws(() => readCertificate(der.subarray(0, end)), `${end}`);
  }
});
