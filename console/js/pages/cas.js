/** The CAs of an account: managed and imported ones, requests for offline roots, uploaded ones. */

import { html, nothing, repeat } from '../../vendor/lit-html.js';
import {
  activate,
  adopt,
  importCa,
  prepare,
  removeRequest,
  removeUpload,
  request,
  retire,
  rotate,
  upload,
} from '../cas/actions.js';
import { oneAtATime } from '../one-at-a-time.js';
import { text } from '../text.js';
import { foreign } from '../ui/certificate-name.js';
import { command, copyButton, equivalents } from '../ui/copy.js';
import { download, fileName } from '../ui/download.js';
import { badge, empty, errorNotice, loading, notice } from '../ui/notice.js';
import { table } from '../ui/table.js';
import { ago, when } from '../ui/time.js';

const t = text.authorities;

/** The files of certificates in PEM. */
const PEM_TYPE = 'application/x-pem-file';

/** The hostnames that the details of an uploaded certificate show. */
const HOSTNAMES_SHOWN = 10;

/** The look of each state. */
const BADGES = /** @type {const} */ ({
  prepared: 'waiting',
  active: 'good',
  superseded: 'quiet',
  retired: 'bad',
});

/**
 * The state of the CRLs of a CA.
 * @typedef {object} Crls
 * @property {number} lists
 * @property {number | null} number
 * @property {string | null} this_update
 * @property {string | null} next_update
 */

/**
 * The uses of an uploaded certificate.
 * @typedef {object} Uses
 * @property {boolean} isUsed Hostnames of some zone use it.
 * @property {string[]} hostnames Those of the chosen zone.
 */

/**
 * The data of the page.
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {import('../cas/actions.js').ManagedCa[] | null} cas
 * @property {import('../cas/actions.js').CaRequest[]} requests
 * @property {import('../cas/actions.js').Upload[] | null} uploads `null`: the token may not read
 *   them.
 * @property {Map<string, Crls>} crls By the IDs of CAs.
 * @property {Map<string, Uses>} uses By the IDs of uploaded certificates.
 * @property {unknown} error
 * @property {string} done What the last action did.
 */

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: ['Account Settings Read'],
  open(view) {
    /** @type {State} */
    const state = {
      view,
      cas: null,
      requests: [],
      uploads: null,
      crls: new Map(),
      uses: new Map(),
      error: null,
      done: '',
    };
    const reload = oneAtATime(() => load(state));
    view.live.subscribe('refresh', () => void reload(), view.signal);
    draw(state);
    void reload();
  },
};

/** @param {State} state */
async function load(state) {
  const { view } = state;
  const { api, account, session, signal } = view;
  const options = { signal };
  const base = `/certgate/v1/accounts/${account}`;
  const mayReadUploads = session.may('Account: SSL and Certificates Read');
  try {
    const [cas, requests, uploads] = await Promise.all([
      api.get(`${base}/managed_authorities`, {}, options),
      api.get(`${base}/managed_authority_requests`, {}, options),
      mayReadUploads
        ? api.get(`/client/v4/accounts/${account}/mtls_certificates`, {}, options)
        : { result: null },
    ]);
    state.cas = cas.result;
    state.requests = requests.result;
    state.uploads = uploads.result;
    state.error = null;
  } catch (error) {
    if (signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/**
 * Runs an action, then says what it did and shows the new state.
 * @param {State} state
 * @param {Promise<string | null>} action Its sentence; `null` if the user cancelled it.
 */
async function run(state, action) {
  const done = await action;
  if (done === null) return;
  state.done = done;
  state.view.announce(done);
  await load(state);
}

/** @param {State} state */
function draw(state) {
  const { view, cas, error, done } = state;
  const mayManage = view.session.may('Account Settings Write');
  view.render(html`
    ${done ? notice('success', done) : nothing} ${error === null ? nothing : errorNotice(error)}
    ${cas === null && error === null ? loading() : nothing}
    ${cas === null ? nothing : managed(state, cas, mayManage)}
    ${cas === null ? nothing : waiting(state, mayManage)}
    ${cas === null ? nothing : uploaded(state)}
  `);
}

/**
 * @param {State} state
 * @param {import('../cas/actions.js').ManagedCa[]} cas
 * @param {boolean} mayManage
 */
function managed(state, cas, mayManage) {
  const { view } = state;
  const shown = cas.filter((ca) => ca.state !== 'retired');
  const retired = cas.filter((ca) => ca.state === 'retired');
  const card = (/** @type {import('../cas/actions.js').ManagedCa} */ ca) =>
    managedCard(state, ca, mayManage);
  const mayAdopt = view.session.may('SSL and Certificates Write');
  return html`<section aria-labelledby="managed-cas">
    <h2 id="managed-cas">${t.managed}</h2>
    <p>${t.managedHint}</p>
    <div class="bar">
      ${
        mayManage
          ? html`<button class="primary" @click=${() => run(state, prepare(view, cas))}>
                ${t.prepare}
              </button>
              ${
                cas.some((ca) => ca.state === 'active')
                  ? html`<button @click=${() => run(state, rotate(view, cas))}>${t.rotate}</button>`
                  : nothing
              }
              <button @click=${() => run(state, request(view, cas))}>${t.request}</button>
              <button @click=${() => run(state, importCa(view, null))}>${t.import}</button>`
          : html`<p class="hint">${t.readOnly}</p>`
      }
      ${
        mayAdopt && cas.length > 0
          ? html`<button @click=${() => run(state, adopt(view))}>${t.adopt}</button>`
          : nothing
      }
      ${
        shown.length > 0
          ? html`<button @click=${() => saveBundle(shown)}>${t.bundle}</button>`
          : nothing
      }
    </div>
    ${cas.length === 0 ? empty(t.none, html`<p>${t.noneHint}</p>`) : nothing}
    <div class="grid">${repeat(shown, (ca) => ca.id, card)}</div>
    ${
      retired.length === 0
        ? nothing
        : html`<details class="more">
            <summary>${t.retired(retired.length)}</summary>
            <div class="grid">${repeat(retired, (ca) => ca.id, card)}</div>
          </details>`
    }
    ${equivalents(
      t.sameList,
      view.api.curl('GET', `/certgate/v1/accounts/${view.account}/managed_authorities`),
      'certgate ca list\ncertgate ca export --bundle > ca.pem',
    )}
  </section>`;
}

/** @param {import('../cas/actions.js').ManagedCa[]} cas */
function saveBundle(cas) {
  download('ca-bundle.pem', PEM_TYPE, [cas.map((ca) => withLineEnd(ca.certificate)).join('')]);
}

/** @param {string} pem */
function withLineEnd(pem) {
  return pem.endsWith('\n') ? pem : `${pem}\n`;
}

/**
 * @param {State} state
 * @param {import('../cas/actions.js').ManagedCa} ca
 * @param {boolean} mayManage
 */
function managedCard(state, ca, mayManage) {
  const { view } = state;
  const actions = {
    activate: () => run(state, activate(view, ca, state.cas ?? [])),
    retire: () => run(state, retire(view, ca)),
  };
  return html`<article class="panel" aria-labelledby="ca-${ca.id}">
    <div class="heading">
      <h3 id="ca-${ca.id}">${foreign(ca.name)}</h3>
      ${badge(BADGES[ca.state], t.states[ca.state] ?? ca.state)}
    </div>
    <p class="hint">${t.stateHints[ca.state]}</p>
    <dl class="facts">
      <dt>${t.key}</dt>
      <dd>${ca.algorithm}</dd>
      <dt>${t.expires}</dt>
      <dd>${when(ca.expires_on, 'day')} (${ago(ca.expires_on)})</dd>
      <dt>${t.created}</dt>
      <dd>${when(ca.created_on, 'day')}</dd>
    </dl>
    <div class="actions">
      ${
        mayManage && ca.state !== 'active'
          ? html`<button @click=${actions.activate}>${t.activate}</button>`
          : nothing
      }
      ${
        mayManage && (ca.state === 'superseded' || ca.state === 'prepared')
          ? html`<button @click=${actions.retire}>${t.retire}</button>`
          : nothing
      }
      <button
        @click=${() =>
          download(`${fileName(ca.name)}.crt`, PEM_TYPE, [withLineEnd(ca.certificate)])}
      >
        ${t.certificate}
      </button>
    </div>
    <details
      @toggle=${(/** @type {Event} */ event) => opened(state, event, () => readCrls(state, ca))}
    >
      <summary>${t.details}</summary>
      <dl class="facts">
        <dt>${t.id}</dt>
        <dd class="mono">${ca.id} ${copyButton(ca.id, t.copyId)}</dd>
        <dt>${t.fingerprint}</dt>
        <dd class="mono">${ca.fingerprint_sha256}</dd>
        <dt>${t.publicUrl}</dt>
        <dd class="mono">${ca.public_url}</dd>
        <dt>${t.publishedEpoch}</dt>
        <dd>${ca.published_epoch}</dd>
        <dt>${t.crls}</dt>
        <dd>${crlState(state.crls.get(ca.id))}</dd>
        <dt>${t.lists}</dt>
        <dd>${listLinks(ca)}</dd>
      </dl>
      ${command(t.pem, ca.certificate)}
      ${equivalents(
        t.same,
        view.api.curl('GET', `/certgate/v1/accounts/${view.account}/managed_authorities`),
        `certgate ca show ${ca.id}\ncertgate ca export ${ca.id} > ca.crt`,
      )}
    </details>
  </article>`;
}

/**
 * Reads what only the details show, when they open.
 * @param {State} state
 * @param {Event} event
 * @param {() => Promise<void>} read
 */
async function opened(state, event, read) {
  if (!(/** @type {HTMLDetailsElement} */ (event.target).open)) return;
  try {
    await read();
    state.error = null;
  } catch (error) {
    if (state.view.signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/**
 * Reads the state of the CRLs of a CA.
 * @param {State} state
 * @param {import('../cas/actions.js').ManagedCa} ca
 */
async function readCrls({ view, crls }, ca) {
  const path = `/certgate/v1/accounts/${view.account}/managed_authorities/${ca.id}/crls`;
  crls.set(ca.id, (await view.api.get(path, {}, { signal: view.signal })).result);
}

/**
 * Reads the uses of an uploaded certificate: in the account, and the hostnames of the chosen zone.
 * @param {State} state
 * @param {import('../cas/actions.js').Upload} row
 */
async function readUses({ view, uses }, row) {
  const { account, api, session, signal, zone } = view;
  const path = `/client/v4/accounts/${account}/mtls_certificates/${row.id}/associations`;
  const inZone = `/client/v4/zones/${zone?.id}/certificate_authorities/hostname_associations`;
  const mayReadHosts = zone !== null && session.may('SSL and Certificates Read');
  const [associations, hosts] = await Promise.all([
    api.get(path, {}, { signal }),
    mayReadHosts && row.ca ? api.get(inZone, { mtls_certificate_id: row.id }, { signal }) : null,
  ]);
  const hostnames = hosts?.result.hostnames ?? [];
  uses.set(row.id, { isUsed: associations.result.length > 0, hostnames });
}

/** @param {Uses | undefined} uses */
function usesOf(uses) {
  if (uses === undefined) return text.common.loading;
  if (!uses.isUsed) return t.notUsed;
  const { hostnames } = uses;
  return html`<a href="#/hostnames">${t.usedByHostnames(hostnames.length)}</a>
    ${hostnames.length > 0 ? foreign(hostnames.slice(0, HOSTNAMES_SHOWN).join(', ')) : nothing}`;
}

/** @param {Crls | undefined} crls */
function crlState(crls) {
  if (crls === undefined) return text.common.loading;
  if (!crls.this_update || !crls.next_update) return t.noCrls;
  return html`<span>
    ${t.crlsOf(crls.lists, crls.number ?? 0)} ${t.crlsMade} ${ago(crls.this_update)}.
    ${t.crlsUntil} ${when(crls.next_update)}.
  </span>`;
}

/**
 * Links to the files of the public responder.
 * @param {import('../cas/actions.js').ManagedCa} ca
 */
function listLinks({ public_url: base, id }) {
  if (!/^https?:\/\//.test(base)) return nothing;
  const files = /** @type {const} */ ([
    [`crl/${id}/full.crl`, t.fullList],
    [`crl/${id}/bundle.pem`, t.listBundle],
    [`crl/${id}/ca.crl`, t.caList],
    [`ca/${id}.crt`, t.certificateFile],
  ]);
  return html`<ul class="links">
    ${files.map(
      ([path, label]) =>
        html`<li><a href="${base}/${path}" rel="noopener noreferrer" download>${label}</a></li>`,
    )}
  </ul>`;
}

/**
 * @param {State} state
 * @param {boolean} mayManage
 */
function waiting(state, mayManage) {
  const { view, requests } = state;
  if (requests.length === 0) return nothing;
  const columns = [
    {
      title: t.name,
      isHeader: true,
      cell: (/** @type {import('../cas/actions.js').CaRequest} */ row) =>
        row.name ? foreign(row.name) : html`<span class="mono">${row.id}</span>`,
    },
    {
      title: t.key,
      cell: (/** @type {import('../cas/actions.js').CaRequest} */ row) => row.algorithm,
    },
    {
      title: t.created,
      cell: (/** @type {import('../cas/actions.js').CaRequest} */ row) => when(row.created_on),
    },
    {
      title: text.common.actions,
      hideTitle: true,
      className: 'tight',
      cell: (/** @type {import('../cas/actions.js').CaRequest} */ row) =>
        html`<div class="row-actions">
          <button
            @click=${() =>
              download(`${fileName(row.name || row.id)}.csr`, PEM_TYPE, [withLineEnd(row.csr)])}
          >
            ${t.saveRequest}
          </button>
          ${
            mayManage
              ? html`<button @click=${() => run(state, importCa(view, row))}>
                    ${t.importSigned}
                  </button>
                  <button class="quiet" @click=${() => run(state, removeRequest(view, row))}>
                    ${t.remove}
                  </button>`
              : nothing
          }
        </div>`,
    },
  ];
  return html`<section aria-labelledby="waiting-cas">
    <h2 id="waiting-cas">${t.waiting}</h2>
    <p>${t.waitingHint}</p>
    ${table({ caption: t.waiting, columns, rows: requests, key: (row) => row.id })}
  </section>`;
}

/** @param {State} state */
function uploaded(state) {
  const { view, uploads } = state;
  const { api, account, session } = view;
  if (uploads === null) {
    return html`<section aria-labelledby="uploaded-cas">
      <h2 id="uploaded-cas">${t.uploaded}</h2>
      <p class="hint">${t.uploadedLacks}</p>
    </section>`;
  }
  const mayWrite = session.may('Account: SSL and Certificates Write');
  /** @typedef {import('../cas/actions.js').Upload} Upload */
  const columns = [
    {
      title: t.name,
      isHeader: true,
      cell: (/** @type {Upload} */ row) =>
        html`<div>
          ${row.name
            ? foreign(row.name)
            : html`<span class="quiet-text">${text.common.noName}</span>`}
          <details
            @toggle=${(/** @type {Event} */ event) =>
              opened(state, event, () => readUses(state, row))}
          >
            <summary>${t.details}</summary>
            <dl class="facts narrow">
              <dt>${t.id}</dt>
              <dd class="mono">${row.id} ${copyButton(row.id, t.copyId)}</dd>
              <dt>${t.serial}</dt>
              <dd class="mono">${row.serial_number}</dd>
              <dt>${t.signature}</dt>
              <dd>${row.signature}</dd>
              <dt>${t.uploadedOn}</dt>
              <dd>${when(row.uploaded_on)}</dd>
              <dt>${t.usedAt}</dt>
              <dd>${usesOf(state.uses.get(row.id))}</dd>
            </dl>
          </details>
        </div>`,
    },
    { title: t.kind, cell: (/** @type {Upload} */ row) => (row.ca ? t.isCa : t.isLeaf) },
    { title: t.issuer, cell: (/** @type {Upload} */ row) => foreign(row.issuer) },
    { title: t.expires, cell: (/** @type {Upload} */ row) => when(row.expires_on, 'day') },
    {
      title: text.common.actions,
      hideTitle: true,
      className: 'tight',
      cell: (/** @type {Upload} */ row) =>
        html`<div class="row-actions">
          <button
            @click=${() =>
              download(`${fileName(row.name || row.id)}.pem`, PEM_TYPE, [row.certificates])}
          >
            ${t.certificate}
          </button>
          ${
            mayWrite
              ? html`<button class="quiet" @click=${() => run(state, removeUpload(view, row))}>
                  ${t.remove}
                </button>`
              : nothing
          }
        </div>`,
    },
  ];
  return html`<section aria-labelledby="uploaded-cas">
    <h2 id="uploaded-cas">${t.uploaded}</h2>
    <p>${t.uploadedHint}</p>
    ${
      mayWrite
        ? html`<div class="bar">
            <button @click=${() => run(state, upload(view))}>${t.upload}</button>
          </div>`
        : nothing
    }
    ${table({
      caption: t.uploaded,
      columns,
      rows: uploads,
      key: (row) => row.id,
      empty: empty(t.noUploads),
    })}
    ${equivalents(
      t.sameUploads,
      api.curl('GET', `/client/v4/accounts/${account}/mtls_certificates`),
      'certgate ca list',
    )}
  </section>`;
}
