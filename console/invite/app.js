// The page behind the link of an invite. Opening it uses nothing: only a button does.

import { html, nothing, render } from '../vendor/lit-html.js';
import { createRequest } from '../js/requests/pkcs10.js';
import { commandLine } from '../js/shell-words.js';
import { foreign } from '../js/ui/certificate-name.js';
import { command } from '../js/ui/copy.js';
import { download } from '../js/ui/download.js';
import { named } from '../js/ui/named.js';
import { when } from '../js/ui/time.js';
import { DEVICES, FORMS, deviceFor, formsOf } from './devices.js';
import { Refused, certify, makeFile, open } from './requests.js';

/** @typedef {import('./devices.js').Form} Form */
/** @typedef {import('./requests.js').Details} Details */

/**
 * What the user gets.
 * @typedef {object} Result
 * @property {Form} form
 * @property {import('./requests.js').MadeFile} [file]
 * @property {{name: string, key: string, certificate: string}} [pem]
 */

/** @type {Readonly<Record<string, string>>} */
const CLOSED = Object.freeze({
  used: 'This invite was used. If you have its certificate, check below that it works.',
  expired: 'This invite has expired.',
  withdrawn: 'This invite was withdrawn.',
  locked: 'This invite is locked, because someone tried to guess its secret.',
});

const root = /** @type {HTMLElement} */ (document.querySelector('#invite'));

/** The secret is in this variable only, after the page has taken it out of its address. */
let secret = '';
/** @type {Details | null} */
let details = null;
let device = 'device';
/** @type {Form} */
let form = 'p12';
/** @type {Result | null} */
let result = null;
let problem = '';
let isBusy = false;

/** Takes the secret out of the address, and with it out of the history of the browser. */
function takeSecret() {
  const found = location.hash.slice(1);
  if (found) {
    history.replaceState(null, '', location.pathname);
    secret = found;
  }
  return found !== '';
}

async function start() {
  if (!takeSecret()) {
    problem = 'This address is not complete: open the whole link of your invite again.';
    return draw();
  }
  [details, result, problem] = [null, null, ''];
  draw();
  try {
    details = await open(secret);
    device = deviceFor(details.device, navigator.userAgent, navigator.maxTouchPoints);
    chooseDevice(device);
  } catch (error) {
    report(error);
  }
  draw();
}

/** @param {unknown} error */
function report(error) {
  problem =
    error instanceof Refused
      ? error.message
      : `This browser cannot do it (${error}): choose another form, or use another browser.`;
}

/** @param {string} chosen */
function chooseDevice(chosen) {
  device = chosen;
  form = formsOf(device, details?.enrol !== null)[0] ?? 'browser';
}

async function make() {
  if (isBusy || details === null) return;
  [isBusy, problem] = [true, ''];
  draw();
  try {
    result = { form };
    if (form === 'browser') {
      const { name, key_type: kind } = details;
      const subject = [{ name: 'common_name', value: name }];
      const { csr, privateKey } = await createRequest(kind, subject, []);
      const issued = await certify(secret, csr);
      result.pem = { name, key: privateKey, certificate: issued.certificate + issued.chain };
    } else if (form !== 'command') {
      result.file = await makeFile(secret, form);
    }
  } catch (error) {
    result = null;
    report(error);
  }
  isBusy = false;
  draw();
  // Screen readers and keyboards continue at the result, or at the reason for none.
  const next = /** @type {HTMLElement | null} */ (root.querySelector('[tabindex="-1"]'));
  next?.focus();
}

function draw() {
  render(page(), root);
  // A choice of the user would otherwise stay, after another device has other forms.
  for (const [id, value] of [['device', device], ['form', form]]) {
    const select = /** @type {HTMLSelectElement | null} */ (root.querySelector(`#${id}`));
    if (select) select.value = value ?? '';
  }
}

function page() {
  if (details === null) {
    return html`<h1>Your certificate</h1>
      ${problem ? complaint() : html`<p class="loading" role="status">Loading…</p>`}`;
  }
  const { name, zone, account, invited_by: by, state, expires_on: end, uses_left: left } = details;
  return html`<h1>Your certificate for ${named(zone)}</h1>
    <div class="card">
      <p>
        ${by === null ? 'You are invited' : html`You are invited by ${named(by)}`} to get a client
        certificate with the name ${named(name)}. With it, your device proves to ${named(zone)} who
        it is.
      </p>
      <dl class="facts">
        <dt>Name</dt>
        <dd>${foreign(name)}</dd>
        <dt>Zone</dt>
        <dd>${foreign(zone)}, ${foreign(account)}</dd>
        ${state === 'open'
          ? html`<dt>Use it until</dt>
              <dd>${when(end)}${left > 1 ? `, ${left} times` : ', once'}</dd>`
          : nothing}
      </dl>
    </div>
    ${problem ? complaint() : nothing} ${body()}`;
}

function complaint() {
  return html`<div class="notice error" role="alert" tabindex="-1">
    <span class="symbol" aria-hidden="true">✖</span>
    <div><p>${problem}</p></div>
  </div>`;
}

function body() {
  if (result) return outcome(result);
  const { state } = /** @type {Details} */ (details);
  if (state === 'open') return choice();
  return html`<div class="notice warning">
      <span class="symbol" aria-hidden="true">⚠</span>
      <div><p>${CLOSED[state]} If you need another one, ask the person who invited you.</p></div>
    </div>
    ${state === 'used' ? check() : nothing}`;
}

function choice() {
  const forms = formsOf(device, details?.enrol !== null);
  const { action, hint } = FORMS[form];
  return html`<form
    class="card"
    @submit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      void make();
    }}
  >
    <div class="field">
      <label for="device">Your device</label>
      <select
        id="device"
        @change=${(/** @type {Event} */ event) => {
          chooseDevice(/** @type {HTMLSelectElement} */ (event.target).value);
          draw();
        }}
      >
        ${Object.entries(DEVICES).map(
          ([key, { label }]) =>
            html`<option value=${key} ?selected=${key === device}>${label}</option>`,
        )}
      </select>
    </div>
    <div class="field">
      <label for="form">What you get</label>
      <select
        id="form"
        @change=${(/** @type {Event} */ event) => {
          form = /** @type {Form} */ (/** @type {HTMLSelectElement} */ (event.target).value);
          draw();
        }}
      >
        ${forms.map(
          (key) =>
            html`<option value=${key} ?selected=${key === form}>${FORMS[key].label}</option>`,
        )}
      </select>
      <span class="hint">${hint}</span>
    </div>
    <button class="primary" type="submit" ?disabled=${isBusy}>
      ${isBusy ? 'One moment…' : action}
    </button>
  </form>`;
}

/** @param {Result} made */
function outcome(made) {
  const { file, pem } = made;
  const title = made.form === 'command' ? 'The command' : 'Your certificate is ready';
  return html`<section class="card" aria-labelledby="result">
      <h2 id="result" tabindex="-1">${title}</h2>
      ${file ? server(file) : nothing} ${pem ? texts(pem) : nothing}
      ${made.form === 'command' ? commands() : nothing}
      <h3>Steps</h3>
      <ol>
        ${DEVICES[device]?.steps(made.form).map((step) => html`<li>${step}</li>`)}
      </ol>
    </section>
    ${check()}`;
}

/** @param {import('./requests.js').MadeFile} file */
function server(file) {
  const minutes = Math.floor(file.seconds / 60);
  return html`<p>
      <a class="button primary" href=${new URL(file.path, location.href).href}>Download the file</a>
    </p>
    <p class="hint">
      The server keeps the file for ${minutes} minutes, or three downloads, and then forgets it.
    </p>
    <p>Its password. You need it once, and this page cannot show it again:</p>
    <div class="password">${command('Password of the file', file.password)}</div>`;
}

/** @param {{name: string, key: string, certificate: string}} pem */
function texts({ name, key, certificate }) {
  const save = (/** @type {string} */ file, /** @type {string} */ pem) => () =>
    download(file, 'application/x-pem-file', [pem]);
  return html`<div class="actions">
    <button class="primary" type="button" @click=${save(`${name}.key`, key)}>Save the key</button>
    <button class="primary" type="button" @click=${save(`${name}.crt`, certificate)}>
      Save the certificate
    </button>
  </div>`;
}

function commands() {
  const { enrol } = /** @type {Details} */ (details);
  if (enrol === null) return nothing;
  const { est, fingerprint } = enrol;
  const options = ['--est', est, '--fingerprint', fingerprint];
  const line = commandLine('certgate', 'enrol', ...options, '--invite-file', '-');
  const id = location.pathname.split('/').pop();
  return html`${command('Command', line)}
    <p>The invite, which the command reads:</p>
    ${command('Invite', `${id}#${secret}`)}`;
}

function check() {
  const { enrol } = /** @type {Details} */ (details);
  if (enrol === null) return nothing;
  return html`<section class="card" aria-labelledby="check">
    <h2 id="check">Check it</h2>
    <p>
      This button opens a page that shows your certificate. Your browser may ask which one to use.
    </p>
    <p>
      <a class="button primary" href=${enrol.works} target="_blank" rel="noopener noreferrer"
        >Check that it works</a
      >
    </p>
  </section>`;
}

// Another link in the same tab changes the fragment only, and loads nothing.
addEventListener('hashchange', () => void start());
void start();
