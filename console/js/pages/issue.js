/** Issues a certificate, from a request or with a key that the browser creates. */

import { html, nothing } from '../../vendor/lit-html.js';
import { checkBoth } from '../issuance-rules.js';
import { findingNotices, ruleSentences } from '../issue/findings.js';
import { malformedNames, namesOf } from '../issue/name-lines.js';
import { hex } from '../requests/pem.js';
import {
  NEW_KEYS,
  RequestProblem,
  createRequest,
  findRequest,
  readRequest,
  textOfFile,
  verifySignature,
} from '../requests/pkcs10.js';
import { commandLine } from '../shell-words.js';
import { text } from '../text.js';
import { foreign } from '../ui/certificate-name.js';
import { command, equivalents } from '../ui/copy.js';
import { confirm } from '../ui/dialog.js';
import { download, fileName } from '../ui/download.js';
import { areaField, fileField, radioField, selectField, textField } from '../ui/form.js';
import { named } from '../ui/named.js';
import { badge, errorNotice, notice } from '../ui/notice.js';
import { when } from '../ui/time.js';

const t = text.issue;

/** The validity of a new certificate, as on the command line, in days. */
const DAYS_DEFAULT = 365;

/** Usual validities, in days. */
const DAYS_USUAL = [30, 90, 365];

/** The largest validity that a server can be configured for, in days. */
const DAYS_MAX = 36_600;

/** The largest file of a request, in bytes: 16 KiB of PEM in UTF-16 with some room. */
const FILE_BYTES_MAX = 64 * 1024;

/** The rules of a zone that the token may not read: its names are left to the server. */
const ANY_NAME = { dns: ['*'], email: ['*'], uri: ['*'], ip: ['0.0.0.0/0'] };

const PEM_TYPE = 'application/x-pem-file';

/** The attributes of the form, in the order of a subject. */
const SUBJECT = /** @type {const} */ ([
  'country',
  'state',
  'location',
  'organization',
  'organizational_unit',
  'common_name',
  'email_address',
]);

/** The options of the command line for the attributes; it has none for an e-mail address. */
const OPTIONS = /** @type {Record<string, string>} */ ({
  country: '--country',
  state: '--state',
  location: '--location',
  organization: '--org',
  organizational_unit: '--org-unit',
  common_name: '--cn',
});

/**
 * @typedef {object} Made
 * @property {import('../types.js').ClientCertificate} certificate
 * @property {import('../types.js').Message[]} messages
 * @property {string | null} privateKey PKCS #8 in PEM.
 * @property {boolean} isKeySaved
 * @property {string | null} ca The certificate of the CA in PEM.
 */

/**
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {Record<string, any>} values
 * @property {import('../issuance-rules.js').IssuanceRules | null} rules `null`: not known.
 * @property {import('../requests/pkcs10.js').CertificateRequest | null} request
 * @property {RequestProblem | null} problem
 * @property {'valid' | 'invalid' | 'unknown' | null} signature
 * @property {boolean} isBusy
 * @property {unknown} error
 * @property {Made | null} made
 */

/** @type {WeakMap<import('../page.js').View, State>} */
const states = new WeakMap();

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: ['Client Certificates Issue'],
  open(view) {
    const known = states.get(view);
    if (known) {
      known.values['source'] = view.query.get('with') === 'key' ? 'key' : 'csr';
      draw(known);
      return;
    }
    const state = begin(view);
    states.set(view, state);
    draw(state);
    void loadRules(state);
  },
  leave(view) {
    const { isBusy = false, made = null } = states.get(view) ?? {};
    return !isBusy && (made === null || made.privateKey === null || made.isKeySaved);
  },
};

/**
 * @param {import('../page.js').View} view
 * @returns {State}
 */
function begin(view) {
  const subject = Object.fromEntries(SUBJECT.map((name) => [name, '']));
  const source = view.query.get('with') === 'key' ? 'key' : 'csr';
  return {
    view,
    values: {
      source,
      csr: '',
      ...subject,
      keyType: 'P-256',
      names: '',
      days: String(DAYS_DEFAULT),
    },
    rules: null,
    request: null,
    problem: null,
    signature: null,
    isBusy: false,
    error: null,
    made: null,
  };
}

/** @param {State} state */
async function loadRules(state) {
  const { api, session, signal, zone } = state.view;
  if (!session.may('Zone Read')) return;
  const path = `/certgate/v1/zones/${zone?.id}/issuance_rules`;
  try {
    state.rules = (await api.get(path, {}, { signal })).result;
    draw(state);
  } catch {
    // Without the rules, the page works: the server names a broken rule.
  }
}

/** @param {State} state */
function draw(state) {
  state.view.render(state.made ? issued(state, state.made) : form(state));
}

/**
 * The request of the form, as far as rules limit it; `null` if there is none yet.
 * @param {State} state
 * @returns {import('../issuance-rules.js').Requested | null}
 */
function requested({ values, request }) {
  const days = Number(values['days']);
  if (values['source'] === 'csr') {
    if (request === null) return null;
    const { subject, keyType, names } = request;
    return { subject, keyType, names, days };
  }
  return {
    subject: subjectOf(values),
    keyType: values['keyType'],
    names: namesOf(values['names']),
    days,
  };
}

/** @param {Record<string, any>} values */
function subjectOf(values) {
  return SUBJECT.map((name) => ({ name, value: values[name].trim() })).filter(
    ({ value }) => value !== '',
  );
}

/** @param {State} state */
function problemsOf({ values }) {
  /** @type {Record<string, string>} */
  const problems = {};
  const days = Number(values['days']);
  if (!Number.isInteger(days) || days < 1 || days > DAYS_MAX) problems['days'] = t.daysProblem;
  if (values['source'] === 'key') {
    const country = values['country'].trim();
    if (country && !/^[A-Za-z]{2}$/.test(country)) problems['country'] = t.countryProblem;
    const email = values['email_address'].trim();
    if (email && !/^[\x21-\x7e]+@[\x21-\x7e]+$/.test(email)) {
      problems['email_address'] = t.emailProblem;
    }
    const [malformed] = malformedNames(values['names']);
    if (malformed !== undefined) problems['names'] = t.namesProblem(malformed);
  }
  return problems;
}

/** @param {State} state */
function form(state) {
  const { view, values, isBusy, error } = state;
  const isCsr = values['source'] === 'csr';
  const problems = problemsOf(state);
  const fields = { values, problems, changed: () => draw(state) };
  const wanted = requested(state);
  const isTouched = isCsr || SUBJECT.some((name) => values[name].trim() !== '');
  const ofToken = view.session.caller?.issuance_rules ?? null;
  // Without the rules of the zone, only those of the token are known.
  const ofZone = state.rules ?? { alternative_names: ANY_NAME };
  const findings =
    (state.rules !== null || ofToken !== null) && wanted !== null && isTouched && !problems['days']
      ? checkBoth(ofZone, ofToken, wanted)
      : [];
  const isReady =
    Object.keys(problems).length === 0 &&
    (isCsr
      ? state.request !== null && state.problem === null && state.signature !== 'invalid'
      : globalThis.crypto?.subtle !== undefined && isTouched);
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    if (isReady && !isBusy) void issue(state);
  };
  return html`<div class="split">
    <aside>
      <section class="panel" aria-labelledby="rules-here">
        <h2 id="rules-here">${t.rules(view.zone?.name ?? '')}</h2>
        ${rulesHere(state)}
      </section>
      ${rulesOfToken(ofToken)}
    </aside>
    <form @submit=${submit}>
      ${sourceField(state)} ${isCsr ? csrFields(state, fields) : keyFields(fields)}
      ${daysField(state, fields)} ${findingNotices(findings)}
      <div role="alert">${error === null ? nothing : errorNotice(error)}</div>
      <div class="actions">
        <button class="primary" type="submit" ?disabled=${!isReady || isBusy}>
          ${isBusy ? t.busy : isCsr ? t.action : t.actionWithKey}
        </button>
        ${isReady ? nothing : html`<span class="hint">${isCsr ? t.needCsr : t.needName}</span>`}
      </div>
      ${commands(state)}
    </form>
  </div>`;
}

/** @param {State} state */
function sourceField(state) {
  const { view, values } = state;
  const choose = {
    values,
    changed: () => {
      const query = new URLSearchParams(view.query);
      if (values['source'] === 'key') query.set('with', 'key');
      else query.delete('with');
      state.error = null;
      view.navigate(query, { replace: true });
      draw(state);
    },
  };
  return radioField(choose, 'source', {
    label: t.source,
    choices: [
      ['csr', t.sourceCsr, t.sourceCsrHint],
      ['key', t.sourceKey, t.sourceKeyHint],
    ],
  });
}

/**
 * @param {State} state
 * @param {import('../ui/form.js').Form} fields
 */
function csrFields(state, fields) {
  const { problem } = state;
  const problems = { ...fields.problems };
  if (problem !== null) {
    problems['csr'] = t.problems[problem.code]?.(named(problem.value)) ?? problem.message;
  }
  if (state.signature === 'invalid') problems['csr'] = t.signatureInvalid;
  const changed = () => {
    void readCsr(state);
  };
  return html`${fileField({ values: fields.values, problems, changed }, 'csr', {
    label: t.csr,
    hint: t.csrHint,
    rows: 9,
    placeholder: '-----BEGIN CERTIFICATE REQUEST-----',
    chooseLabel: t.chooseFile,
    maxBytes: FILE_BYTES_MAX,
    tooLarge: t.fileTooLarge,
    read: textOfFile,
  })}
  ${contents(state)}`;
}

/**
 * Reads the request of the form. Its signature follows, if the browser can verify it.
 * @param {State} state
 */
async function readCsr(state) {
  const csr = state.values['csr'];
  state.request = null;
  state.problem = null;
  state.signature = null;
  state.error = null;
  if (csr.trim() === '') {
    draw(state);
    return;
  }
  try {
    state.request = readRequest(findRequest(csr));
  } catch (error) {
    if (!(error instanceof RequestProblem)) throw error;
    state.problem = error;
  }
  draw(state);
  const { request } = state;
  if (request === null) return;
  const verdict = await verifySignature(request);
  // Another request may have been pasted meanwhile.
  if (state.request !== request) return;
  state.signature = verdict;
  draw(state);
}

/** @param {State} state */
function contents({ request, signature }) {
  if (request === null) return nothing;
  const verdicts = {
    valid: badge('good', t.signatureValid),
    invalid: badge('bad', t.signatureInvalidShort),
    unknown: badge('quiet', t.signatureUnknown),
  };
  return html`<section class="panel" aria-labelledby="in-request" aria-live="polite">
    <h2 id="in-request">${t.contents}</h2>
    <dl class="facts">
      ${
        request.subject.length === 0
          ? html`<dt>${t.subject}</dt>
              <dd>${t.noSubject}</dd>`
          : nothing
      }
      ${request.subject.map(
        ({ name, value }) =>
          html`<dt>${text.rules.attributes[name] ?? name}</dt>
            <dd>${foreign(value)}</dd>`,
      )}
      ${request.names.map(
        ({ kind, value }) =>
          html`<dt>${t.nameKinds[kind]}</dt>
            <dd>${foreign(value)}</dd>`,
      )}
      <dt>${t.keyType}</dt>
      <dd>${request.keyType}</dd>
      <dt>${t.signature}</dt>
      <dd>${signature === null ? text.common.loading : verdicts[signature]}</dd>
    </dl>
  </section>`;
}

/** @param {import('../ui/form.js').Form} fields */
function keyFields(fields) {
  if (globalThis.crypto?.subtle === undefined) return notice('warning', t.noCrypto);
  const attribute = (/** @type {string} */ name, /** @type {string} */ hint = '') =>
    textField(fields, name, {
      label: text.rules.attributes[name] ?? name,
      hint: hint || nothing,
      maxLength: name === 'country' ? 2 : 200,
    });
  const isOpen = SUBJECT.some(
    (name) => name !== 'common_name' && name !== 'organization' && fields.values[name] !== '',
  );
  return html`
    ${attribute('common_name', t.commonNameHint)} ${attribute('organization')}
    <details ?open=${isOpen}>
      <summary>${t.moreAttributes}</summary>
      ${attribute('organizational_unit')} ${attribute('location')} ${attribute('state')}
      ${attribute('country', t.countryHint)} ${attribute('email_address')}
      ${areaField(fields, 'names', { label: t.names, hint: t.namesHint })}
    </details>
    ${selectField(fields, 'keyType', {
      label: t.keyType,
      hint: t.keyTypeHint,
      choices: NEW_KEYS.map((name) => [name, t.keys[name] ?? name]),
    })}
  `;
}

/**
 * @param {State} state
 * @param {import('../ui/form.js').Form} fields
 */
function daysField({ values }, fields) {
  const number = Number(values['days']);
  const isKnown = !fields.problems?.['days'];
  const end = new Date(Date.now() + number * 86_400_000);
  return html`<div class="validity">
    ${textField(fields, 'days', {
      label: t.days,
      hint: isKnown ? html`${t.until} ${when(end.toISOString(), 'day')}` : t.daysHint,
      type: 'number',
      min: 1,
      max: DAYS_MAX,
      isRequired: true,
    })}
    <div class="usual">
      ${DAYS_USUAL.map(
        (usual) =>
          html`<button
            type="button"
            class="quiet"
            @click=${() => {
              values['days'] = String(usual);
              fields.changed();
            }}
          >
            ${t.usualDays(usual)}
          </button>`,
      )}
    </div>
  </div>`;
}

/** @param {State} state */
function rulesHere({ view, rules }) {
  if (!view.session.may('Zone Read')) return html`<p>${t.rulesLack}</p>`;
  if (rules === null) return html`<p>${text.common.loading}</p>`;
  const sentences = ruleSentences(rules);
  const link = html`<p><a href="#/rules?zone=${view.zone?.id}">${t.rulesLink}</a></p>`;
  if (sentences.length === 0)
    return html`<p>${t.noRules}</p>
      ${link}`;
  return html`<ul class="sentences">
      ${sentences.map((one) => html`<li>${one}</li>`)}
    </ul>
    ${link}`;
}

/** @param {import('../issuance-rules.js').IssuanceRules | null} rules */
function rulesOfToken(rules) {
  if (rules === null) return nothing;
  return html`<section class="panel" aria-labelledby="rules-token">
    <h2 id="rules-token">${t.rulesOfToken}</h2>
    <p class="hint">${t.rulesBoth}</p>
    <ul class="sentences">
      ${ruleSentences(rules).map((one) => html`<li>${one}</li>`)}
    </ul>
  </section>`;
}

/** @param {State} state */
function commands({ view, values }) {
  const number = String(Number(values['days']) || DAYS_DEFAULT);
  const zone = view.zone?.name ?? '';
  const path = `/client/v4/zones/${view.zone?.id}/client_certificates`;
  const csr = values['source'] === 'csr' && values['csr'].trim() ? values['csr'] : '…';
  const curl = view.api.curl('POST', path, { csr, validity_days: Number(number) });
  if (values['source'] === 'csr') {
    const line = commandLine('certgate', 'cert', 'issue', '--csr', 'device.csr', '--days', number);
    return equivalents(t.same, curl, `${line} ${commandLine('--zone', zone)} > device.crt`);
  }
  const options = subjectOf(values).flatMap(({ name, value }) =>
    OPTIONS[name] ? [`${OPTIONS[name]}=${value}`] : [],
  );
  const key = values['keyType'].toLowerCase().replace('-', '');
  const line = commandLine(
    'certgate',
    'cert',
    'issue',
    ...options,
    '--days',
    number,
    '--key-algorithm',
    key,
    '--zone',
    zone,
  );
  return equivalents(t.same, curl, line);
}

/** @param {State} state */
async function issue(state) {
  const { view, values } = state;
  state.isBusy = true;
  state.error = null;
  draw(state);
  /** @type {{csr: string, privateKey: string} | null} */
  let key = null;
  try {
    if (values['source'] === 'key') {
      key = await createRequest(values['keyType'], subjectOf(values), namesOf(values['names']));
    }
    const csr = key === null ? values['csr'] : key.csr;
    const path = `/client/v4/zones/${view.zone?.id}/client_certificates`;
    const body = { csr, validity_days: Number(values['days']) };
    // After a lost connection, the server returns the certificate of the first request.
    const idempotencyKey = hex(crypto.getRandomValues(new Uint8Array(16)));
    const { result: certificate, messages } = await view.api.post(path, body, { idempotencyKey });
    const privateKey = key === null ? null : key.privateKey;
    state.made = { certificate, messages, privateKey, isKeySaved: false, ca: null };
    view.announce(t.done);
    scrollTo(0, 0);
    void loadCa(state);
  } catch (error) {
    state.error = error;
  }
  state.isBusy = false;
  draw(state);
}

/** @param {State} state */
async function loadCa(state) {
  const { view, made } = state;
  if (made === null || !view.session.may('Account Settings Read')) return;
  const path = `/certgate/v1/accounts/${view.account}/managed_authorities`;
  try {
    const { result } = await view.api.get(path, {}, { signal: view.signal });
    const id = made.certificate.certificate_authority.id;
    made.ca = result.find((/** @type {{id: string}} */ ca) => ca.id === id)?.certificate ?? null;
    draw(state);
  } catch {
    // The download of the chain stays away.
  }
}

/**
 * @param {State} state
 * @param {Made} made
 */
function issued(state, made) {
  const { view } = state;
  const { certificate, messages, privateKey, ca } = made;
  const file = fileName(certificate.common_name || certificate.id);
  const pem = `${certificate.certificate}\n`;
  const again = async () => {
    const isLost = privateKey !== null && !made.isKeySaved;
    const question = { title: t.loseTitle, body: t.loseBody, action: t.loseAction, isDanger: true };
    if (isLost && !(await confirm({ ...question, signal: view.signal }))) return;
    const { source, keyType, days: number } = state.values;
    const next = begin(view);
    Object.assign(next.values, { source, keyType, days: number });
    next.rules = state.rules;
    states.set(view, next);
    draw(next);
  };
  const saveKey = () => {
    download(`${file}.key`, PEM_TYPE, [/** @type {string} */ (privateKey)]);
    made.isKeySaved = true;
    draw(state);
  };
  return html`
    ${notice('success', html`<p>${t.done}</p>`)}
    ${messages.map(({ message }) => notice('warning', message))}
    ${
      privateKey === null
        ? nothing
        : notice(
            made.isKeySaved ? 'info' : 'warning',
            html`<p>${made.isKeySaved ? t.keySaved : t.keyWaits}</p>`,
            html`<button class=${made.isKeySaved ? '' : 'primary'} @click=${saveKey}>
              ${made.isKeySaved ? t.saveKeyAgain : t.saveKey}
            </button>`,
          )
    }
    <section class="panel" aria-labelledby="issued">
      <h2 id="issued">
        ${
          certificate.common_name
            ? foreign(certificate.common_name)
            : html`<span class="quiet-text">${text.common.noName}</span>`
        }
      </h2>
      <dl class="facts">
        <dt>${t.expires}</dt>
        <dd>${when(certificate.expires_on)}</dd>
        <dt>${t.signedBy}</dt>
        <dd>${foreign(certificate.certificate_authority.name)}</dd>
        <dt>${t.serial}</dt>
        <dd class="mono">${certificate.serial_number}</dd>
        <dt>${t.id}</dt>
        <dd class="mono">${certificate.id}</dd>
      </dl>
      <div class="actions">
        <button @click=${() => download(`${file}.crt`, PEM_TYPE, [pem])}>
          ${t.saveCertificate}
        </button>
        ${
          ca === null
            ? nothing
            : html`<button
                @click=${() => download(`${file}-chain.pem`, PEM_TYPE, [pem, ca.trimEnd(), '\n'])}
              >
                ${t.saveChain}
              </button>`
        }
        <a class="button" href="#/certificates/${certificate.id}?zone=${view.zone?.id}">
          ${t.openCertificate}
        </a>
      </div>
      ${command(t.pem, certificate.certificate)}
    </section>
    <div class="actions">
      <button class=${privateKey !== null && !made.isKeySaved ? '' : 'primary'} @click=${again}>
        ${t.another}
      </button>
    </div>
  `;
}
