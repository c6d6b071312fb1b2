/** What a user does with CAs: one dialog for each action, which says what the action changes. */

import { html, nothing } from '../../vendor/lit-html.js';
import { pem, pemBlocks } from '../requests/pem.js';
import { commandLine } from '../shell-words.js';
import { text } from '../text.js';
import { foreign } from '../ui/certificate-name.js';
import { equivalents } from '../ui/copy.js';
import { checkField, fileField, radioField, selectField, textField } from '../ui/form.js';
import { show } from '../ui/dialog.js';
import { formDialog } from '../ui/form-dialog.js';
import { named } from '../ui/named.js';
import { badge, notice } from '../ui/notice.js';
import { ago } from '../ui/time.js';

const t = text.authorities;

/** The largest file of certificates or keys that the server accepts, in bytes. */
const FILE_BYTES_MAX = 32 * 1024;

/** The largest file of certificates to adopt: a thousand of them, in bytes. */
const ADOPTED_BYTES_MAX = 4 * 1024 * 1024;

/** The most certificates of a request. */
const ADOPTED_MAX = 1000;

/** The keys of managed CAs, and their names on the command line. */
const ALGORITHMS = /** @type {const} */ ({
  'P-256': 'p256',
  'P-384': 'p384',
  'RSA-2048': 'rsa2048',
  'RSA-3072': 'rsa3072',
  'RSA-4096': 'rsa4096',
  Ed25519: 'ed25519',
});

/**
 * @typedef {object} ManagedCa
 * @property {string} id
 * @property {string} name
 * @property {string} algorithm
 * @property {string} certificate PEM.
 * @property {string} fingerprint_sha256
 * @property {string} public_url
 * @property {'prepared' | 'active' | 'superseded' | 'retired'} state
 * @property {number} published_epoch
 * @property {string} created_on
 * @property {string} expires_on
 *
 * @typedef {object} CaRequest
 * @property {string} id
 * @property {string} name
 * @property {string} algorithm
 * @property {string} csr PEM.
 * @property {string} created_on
 *
 * @typedef {object} Upload
 * @property {string} id
 * @property {string | null} name
 * @property {string} issuer
 * @property {string} signature
 * @property {string} serial_number
 * @property {string} certificates PEM.
 * @property {boolean} ca
 * @property {string} uploaded_on
 * @property {string} expires_on
 *
 * @typedef {import('../page.js').View} View
 * @typedef {import('../types.js').EnforcementPoint} Point
 */

/** @param {View} view */
function base({ account }) {
  return `/certgate/v1/accounts/${account}`;
}

/** @param {string} algorithm */
function keyName(algorithm) {
  return /** @type {Record<string, string>} */ (ALGORITHMS)[algorithm];
}

/**
 * The fields of a new key.
 * @param {import('../ui/form.js').Form} form
 * @param {string} nameHint
 */
function newKey(form, nameHint) {
  const choices = Object.keys(ALGORITHMS).map(
    (name) => /** @type {[string, string]} */ ([name, t.algorithms[name] ?? name]),
  );
  return html`
    ${textField(form, 'name', { label: t.name, hint: nameHint, maxLength: 64 })}
    ${selectField(form, 'algorithm', { label: t.key, choices })}
  `;
}

/**
 * The values of the fields of a new key. The key of the active CA is the first choice.
 * @param {ManagedCa[]} cas
 */
function newKeyValues(cas) {
  const active = cas.find((ca) => ca.state === 'active');
  return { name: '', algorithm: active?.algorithm ?? 'P-256' };
}

/**
 * @param {Record<string, any>} values
 * @returns {{algorithm: string, name?: string}}
 */
function newKeyBody({ name, algorithm }) {
  return name.trim() ? { algorithm, name: name.trim() } : { algorithm };
}

/**
 * Creates a CA that does not sign yet.
 * @param {View} view
 * @param {ManagedCa[]} cas
 */
export async function prepare(view, cas) {
  const made = await create(view, cas, {
    title: t.prepareTitle,
    hint: t.prepareHint,
    verb: 'prepare',
  });
  return made === null ? null : t.prepared(named(made.name));
}

/**
 * Creates a CA, and lets it sign as soon as every enforcement point has it. A user who cancels the
 * second step leaves the CA prepared.
 * @param {View} view
 * @param {ManagedCa[]} cas
 */
export async function rotate(view, cas) {
  const made = await create(view, cas, {
    title: t.rotateTitle,
    hint: t.rotateHint,
    verb: 'rotate',
  });
  if (made === null) return null;
  return (await activate(view, made, cas)) ?? t.prepared(named(made.name));
}

/**
 * @param {View} view
 * @param {ManagedCa[]} cas
 * @param {{title: string, hint: string, verb: 'prepare' | 'rotate'}} words
 * @returns {Promise<ManagedCa | null>}
 */
function create(view, cas, { title, hint, verb }) {
  const path = `${base(view)}/managed_authorities`;
  return formDialog(
    {
      title,
      values: newKeyValues(cas),
      action: t.prepareAction,
      body: (form) => {
        const body = newKeyBody(form.values);
        const words = ['certgate', 'ca', verb, '--algorithm', keyName(body.algorithm)];
        if (body.name) words.push('--name', body.name);
        return html`<p>${hint}</p>
          ${newKey(form, t.nameDefault)}
          ${equivalents(t.same, view.api.curl('POST', path, body), commandLine(...words))}`;
      },
      submit: async (values) => (await view.api.post(path, newKeyBody(values))).result,
    },
    view.signal,
  );
}

/**
 * Creates a key and a request for its certificate, which another CA signs.
 * @param {View} view
 * @param {ManagedCa[]} cas
 */
export async function request(view, cas) {
  const path = `${base(view)}/managed_authority_requests`;
  const made = await formDialog(
    {
      title: t.requestTitle,
      values: newKeyValues(cas),
      action: t.requestAction,
      body: (form) => {
        const body = newKeyBody(form.values);
        const words = ['certgate', 'ca', 'csr', '--algorithm', keyName(body.algorithm)];
        if (body.name) words.push('--name', body.name);
        return html`<p>${t.requestHint}</p>
          ${newKey(form, t.nameOfRequest)}
          ${equivalents(
            t.same,
            view.api.curl('POST', path, body),
            `${commandLine(...words)} > ca.csr`,
          )}`;
      },
      submit: async (values) => (await view.api.post(path, newKeyBody(values))).result,
    },
    view.signal,
  );
  return made === null ? null : t.requested(named(made.name || made.id));
}

/**
 * Imports a CA: the signed certificate of a request, or an existing CA with its key.
 * @param {View} view
 * @param {CaRequest | null} of
 */
export async function importCa(view, of) {
  const path = `${base(view)}/managed_authorities`;
  const isSafe = location.protocol === 'https:' || isLoopback(location.hostname);
  /** @param {Record<string, any>} values */
  const bodyOf = ({ certificate, key, name, when }) => ({
    certificate,
    ...(key.trim() ? { private_key: key } : {}),
    ...(name.trim() ? { name: name.trim() } : {}),
    ...(key.trim() && when === 'prepared' ? { prepare: true } : {}),
  });
  const file = { maxBytes: FILE_BYTES_MAX, tooLarge: t.tooLarge, chooseLabel: t.chooseFile };
  const made = await formDialog(
    {
      title: of === null ? t.importTitle : t.importSignedTitle,
      values: { certificate: '', key: '', name: '', when: 'prepared' },
      action: t.importAction,
      isReady: (values) => values['certificate'].trim() !== '',
      body: (form) => {
        const { key, name, when } = form.values;
        const hasKey = key.trim() !== '';
        const words = ['certgate', 'ca', 'import', '--certificate', 'ca.crt'];
        if (hasKey) words.push('--key', 'ca.key');
        if (hasKey && when === 'prepared') words.push('--prepare');
        if (name.trim()) words.push('--name', name.trim());
        const shown = {
          certificate: '…',
          ...(hasKey ? { private_key: '…' } : {}),
          ...(name.trim() ? { name: name.trim() } : {}),
          ...(hasKey && when === 'prepared' ? { prepare: true } : {}),
        };
        return html`<p>
            ${of === null ? t.importHint : t.importSignedHint(named(of.name || of.id))}
          </p>
          ${fileField(form, 'certificate', {
            label: t.caCertificate,
            hint: t.caCertificateHint,
            placeholder: '-----BEGIN CERTIFICATE-----',
            rows: 4,
            ...file,
          })}
          ${
            of === null
              ? html`${fileField(form, 'key', {
                  label: t.caKey,
                  hint: isSafe ? t.caKeyHint : t.caKeyUnsafe,
                  isDisabled: !isSafe,
                  placeholder: '-----BEGIN PRIVATE KEY-----',
                  rows: 4,
                  ...file,
                })}
                ${
                  hasKey
                    ? radioField(form, 'when', {
                        label: t.importWhen,
                        choices: [
                          ['prepared', t.importPrepared, t.importPreparedHint],
                          ['active', t.importActive, t.importActiveHint],
                        ],
                      })
                    : nothing
                }
                ${textField(form, 'name', { label: t.name, hint: t.nameOfImport, maxLength: 64 })}`
              : nothing
          }
          ${equivalents(t.same, view.api.curl('POST', path, shown), commandLine(...words))}`;
      },
      submit: async (values) => {
        const { result } = await view.api.post(path, bodyOf(values));
        // The browser keeps the key no longer than necessary.
        values['key'] = '';
        return result;
      },
    },
    view.signal,
  );
  return made === null ? null : t.imported(named(made.name), t.states[made.state] ?? made.state);
}

/** @param {string} host */
function isLoopback(host) {
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.');
}

/**
 * Lets a CA sign, and shows which enforcement points know it.
 * @param {View} view
 * @param {ManagedCa} ca
 * @param {ManagedCa[]} cas
 */
export async function activate(view, ca, cas) {
  const path = `${base(view)}/managed_authorities/${ca.id}/activate`;
  const before = cas.find((other) => other.state === 'active');
  const mayReadPoints = view.session.may('Enforcement Points Read');
  /** @type {Point[] | null} */
  let points = null;
  const closed = new AbortController();
  const signal = AbortSignal.any([view.signal, closed.signal]);
  /** @param {() => void} redraw */
  const follow = (redraw) => {
    if (!mayReadPoints) return;
    const read = async () => {
      const answer = await view.api.get(`${base(view)}/enforcement_points`, {}, { signal });
      points = answer.result;
      redraw();
    };
    const readQuietly = () => void read().catch(() => {});
    view.live.subscribe('refresh', readQuietly, signal);
    view.live.expect();
    readQuietly();
  };
  const late = () => (points ?? []).filter((point) => !knows(point, ca));
  const made = await formDialog(
    {
      title: t.activateTitle(named(ca.name)),
      values: { anyway: false },
      action: t.activateAction,
      opened: follow,
      isReady: ({ anyway }) => anyway || !mayReadPoints || (points !== null && late().length === 0),
      body: (form) => {
        const body = form.values['anyway'] ? { anyway: true } : {};
        const words = ['certgate', 'ca', 'activate', ca.id, form.values['anyway'] && '--anyway'];
        return html`<p>${t.activateHint(before ? named(before.name) : null)}</p>
          ${pointsOf(points, ca, mayReadPoints)}
          ${
            late().length > 0 || !mayReadPoints
              ? checkField(form, 'anyway', { label: t.activateAnyway, hint: t.activateAnywayHint })
              : nothing
          }
          ${before ? html`<p class="hint">${t.activateUndo(named(before.name))}</p>` : nothing}
          ${equivalents(t.same, view.api.curl('POST', path, body), commandLine(...words))}`;
      },
      submit: async ({ anyway }) => (await view.api.post(path, anyway ? { anyway } : {})).result,
    },
    view.signal,
  );
  closed.abort();
  return made === null ? null : t.activated(named(made.name));
}

/**
 * @param {Point} point
 * @param {ManagedCa} ca
 */
function knows(point, ca) {
  return ca.state !== 'retired' && point.acknowledged_epoch >= ca.published_epoch;
}

/**
 * The enforcement points, and whether each has the CA.
 * @param {Point[] | null} points
 * @param {ManagedCa} ca
 * @param {boolean} mayRead
 */
function pointsOf(points, ca, mayRead) {
  if (!mayRead) return notice('warning', t.pointsLack);
  if (points === null) return html`<p class="loading" role="status">${text.common.loading}</p>`;
  if (points.length === 0) return notice('warning', t.noPoints);
  return html`<ul class="points" aria-label=${t.points}>
    ${points.map((point) => {
      const isSilent = point.status === 'silent';
      const state = knows(point, ca)
        ? badge('good', t.hasCa)
        : badge(isSilent ? 'bad' : 'waiting', isSilent ? t.silent : t.lacksCa);
      return html`<li>
        <span>${foreign(point.name)}</span> ${state}
        <span class="hint">${t.seen} ${ago(point.seen_on)}</span>
      </li>`;
    })}
  </ul>`;
}

/**
 * Ends the trust in a CA.
 * @param {View} view
 * @param {ManagedCa} ca
 */
export async function retire(view, ca) {
  const path = `${base(view)}/managed_authorities/${ca.id}/retire`;
  const made = await formDialog(
    {
      title: t.retireTitle(named(ca.name)),
      values: { anyway: false },
      action: t.retireAction,
      isDanger: true,
      body: (form) => {
        const body = form.values['anyway'] ? { anyway: true } : {};
        const words = ['certgate', 'ca', 'retire', ca.id, form.values['anyway'] && '--anyway'];
        return html`<p>${t.retireHint}</p>
          ${checkField(form, 'anyway', { label: t.retireAnyway, hint: t.retireAnywayHint })}
          <p class="hint">${t.retireUndo}</p>
          ${equivalents(t.same, view.api.curl('POST', path, body), commandLine(...words))}`;
      },
      submit: async ({ anyway }) => (await view.api.post(path, anyway ? { anyway } : {})).result,
    },
    view.signal,
  );
  return made === null ? null : t.retiredDone(named(made.name));
}

/**
 * Deletes a request and its key.
 * @param {View} view
 * @param {CaRequest} of
 */
export function removeRequest(view, of) {
  const path = `${base(view)}/managed_authority_requests/${of.id}`;
  return remove(view, of, path, { title: t.removeRequestTitle, hint: t.removeRequestHint });
}

/**
 * Asks, and deletes what a path names. Returns a sentence, or `null` if the user does not want it.
 * @param {View} view
 * @param {{ id: string, name?: string | null }} of
 * @param {string} path
 * @param {{ title: (name: string) => string, hint: string }} words
 */
async function remove(view, of, path, words) {
  const made = await formDialog(
    {
      title: words.title(named(of.name || of.id)),
      values: {},
      action: t.removeAction,
      isDanger: true,
      body: () =>
        html`<p>${words.hint}</p>
          ${equivalents(t.same, view.api.curl('DELETE', path), `certgate ca remove ${of.id}`)}`,
      submit: async () => (await view.api.delete(path)).result ?? true,
    },
    view.signal,
  );
  return made === null ? null : t.removed(named(of.name || of.id));
}

/**
 * Uploads a CA whose client certificates are accepted, or a leaf with its key.
 * @param {View} view
 */
export async function upload(view) {
  const path = `/client/v4/accounts/${view.account}/mtls_certificates`;
  const isSafe = location.protocol === 'https:' || isLoopback(location.hostname);
  /** @param {Record<string, any>} values */
  const bodyOf = ({ certificates, key, name, kind }) => ({
    certificates,
    ca: kind === 'ca',
    ...(name.trim() ? { name: name.trim() } : {}),
    ...(kind === 'leaf' ? { private_key: key } : {}),
  });
  const file = {
    maxBytes: FILE_BYTES_MAX,
    tooLarge: t.tooLarge,
    chooseLabel: t.chooseFile,
    rows: 4,
  };
  const made = await formDialog(
    {
      title: t.uploadTitle,
      values: { certificates: '', key: '', name: '', kind: 'ca' },
      action: t.uploadAction,
      isReady: ({ certificates, key, kind }) =>
        certificates.trim() !== '' && (kind === 'ca' || key.trim() !== ''),
      body: (form) => {
        const { name, kind } = form.values;
        const isLeaf = kind === 'leaf';
        const words = ['certgate', 'ca', 'add', 'partner.pem'];
        if (isLeaf) words.push('--leaf', '--key', 'client.key');
        if (name.trim()) words.push('--name', name.trim());
        const shown = {
          ...bodyOf(form.values),
          certificates: '…',
          ...(isLeaf ? { private_key: '…' } : {}),
        };
        return html`${radioField(form, 'kind', {
          label: t.kind,
          choices: [
            ['ca', t.isCa, t.isCaHint],
            ['leaf', t.isLeaf, t.isLeafHint],
          ],
        })}
        ${fileField(form, 'certificates', {
          label: t.chain,
          hint: t.chainHint,
          placeholder: '-----BEGIN CERTIFICATE-----',
          ...file,
        })}
        ${
          isLeaf
            ? fileField(form, 'key', {
                label: t.caKey,
                hint: isSafe ? t.caKeyHint : t.caKeyUnsafe,
                isDisabled: !isSafe,
                placeholder: '-----BEGIN PRIVATE KEY-----',
                ...file,
              })
            : nothing
        }
        ${textField(form, 'name', { label: t.name, hint: t.nameOptional, maxLength: 100 })}
        ${equivalents(t.same, view.api.curl('POST', path, shown), commandLine(...words))}`;
      },
      submit: async (values) => {
        const { result } = await view.api.post(path, bodyOf(values));
        values['key'] = '';
        return result;
      },
    },
    view.signal,
  );
  return made === null ? null : t.uploadedDone(named(made.name || made.id));
}

/**
 * Deletes an uploaded certificate. The server refuses it while hostnames use the certificate.
 * @param {View} view
 * @param {Upload} of
 */
export function removeUpload(view, of) {
  const path = `/client/v4/accounts/${view.account}/mtls_certificates/${of.id}`;
  return remove(view, of, path, { title: t.removeUploadTitle, hint: t.removeUploadHint });
}

/**
 * Records certificates that a CA of the account issued elsewhere.
 * @param {View} view
 */
export async function adopt(view) {
  const path = `/certgate/v1/zones/${view.zone?.id}/client_certificates/adopt`;
  const zone = view.zone?.name ?? '';
  /** @param {Record<string, any>} values */
  const blocksOf = ({ certificates }) =>
    pemBlocks(certificates).filter(({ label, octets }) => label === 'CERTIFICATE' && octets);
  /** @type {{index: number, error: {message: string} | null}[] | null} */
  const outcomes = await formDialog(
    {
      title: t.adoptTitle,
      values: { certificates: '' },
      action: t.adoptAction,
      isReady: (values) => {
        const { length } = blocksOf(values);
        return length > 0 && length <= ADOPTED_MAX;
      },
      body: (form) => html`<p>${t.adoptHint(zone)}</p>
        ${fileField(form, 'certificates', {
          label: t.adoptLabel,
          hint: t.adoptCount(blocksOf(form.values).length, ADOPTED_MAX),
          placeholder: '-----BEGIN CERTIFICATE-----',
          rows: 5,
          chooseLabel: t.chooseFile,
          maxBytes: ADOPTED_BYTES_MAX,
          tooLarge: t.adoptTooLarge,
        })}
        ${equivalents(
          t.same,
          view.api.curl('POST', path, { certificates: ['…'] }),
          commandLine('certgate', 'cert', 'adopt', 'old.pem', '--zone', zone),
        )}`,
      submit: async (values) => {
        const certificates = blocksOf(values).map(({ label, octets }) =>
          pem(label, /** @type {Uint8Array} */ (octets)),
        );
        return (await view.api.post(path, { certificates })).result;
      },
    },
    view.signal,
  );
  if (outcomes === null) return null;
  const rejected = outcomes.filter(({ error }) => error !== null);
  if (rejected.length > 0) {
    const reasons = html`<ul class="sentences">
      ${rejected.map(
        ({ index, error }) => html`<li>${t.adoptRejected(index + 1, error?.message ?? '')}</li>`,
      )}
    </ul>`;
    await show(t.adoptRejectedTitle(rejected.length), reasons, view.signal);
  }
  return t.adopted(outcomes.length - rejected.length);
}
