/** Page 3: one certificate, its history, and its revocation. */

import { html, nothing } from '../../vendor/lit-html.js';
import { ApiError } from '../api.js';
import { sleep } from '../connection.js';
import { positions } from '../certificates/last-list.js';
import { pointProgress, readPoints } from '../certificates/point-progress.js';
import { canUndo, lastChange, progressOf } from '../certificates/progress.js';
import { bodyOf, isFinal, kebab, reasonOf } from '../certificates/reasons.js';
import { onChanges } from '../certificates/refresh.js';
import { historyPath, pathOf, wasRevokedBefore } from '../certificates/requests.js';
import { consequence, reasonFields } from '../certificates/revoke-form.js';
import { standingBadges, statusBadge, works } from '../certificates/status.js';
import { commandLine } from '../shell-words.js';
import { text } from '../text.js';
import { foreign, visible } from '../ui/certificate-name.js';
import { copyButton, equivalents } from '../ui/copy.js';
import { openDialog } from '../ui/dialog.js';
import { download } from '../ui/download.js';
import { empty, errorNotice, loading, notice } from '../ui/notice.js';
import { ago, when } from '../ui/time.js';
import { derOfPem, readCertificate } from '../x509.js';

/** @typedef {import('../types.js').ClientCertificate} ClientCertificate */
/** @typedef {import('../types.js').CertificateEvent} CertificateEvent */
/** @typedef {import('../types.js').EnforcementPoint} EnforcementPoint */

const words = text.certificate;

/** The error code of a certificate that does not exist. */
const NO_CERTIFICATE = 1415;

/** The time between two looks while a change is pending, in milliseconds. */
const LOOK_MS = 500;

/** The events that the timeline shows before the user asks for all. */
const EVENTS_SHOWN = 20;

/** @type {import('../page.js').Page} */
export const page = {
  title: words.title,
  needs: ['Client Certificates Read'],
  open(view) {
    void new Details(view).show();
  },
};

class Details {
  /** @type {ClientCertificate | null} */
  #certificate = null;
  /** @type {CertificateEvent[] | null} */
  #events = null;
  /** @type {EnforcementPoint[] | null} Null if the token may not see them. */
  #points = null;
  /** The certificate that it replaced, and the one that replaced it. */
  /** @type {Map<string, ClientCertificate>} */
  #neighbours = new Map();
  /** @type {unknown} */
  #error = null;
  /** @type {unknown} What the last action did. */
  #outcome = nothing;
  /** The user sees the progress of a change that began on this page. */
  #isFollowing = false;
  #isBusy = false;
  #areAllShown = false;
  /** @type {Map<string, number>} The seconds until each point confirmed the change. */
  #confirmed = new Map();
  #epoch = 0;
  /** The time at which the user began the change, by this computer's clock. */
  #begun = 0;
  #isWatching = false;

  /** @param {import('../page.js').View} view */
  constructor(view) {
    this.view = view;
    onChanges(view, () => void this.#load());
  }

  async show() {
    this.view.render(loading());
    await this.#load();
  }

  get #zone() {
    return this.view.zone?.id ?? '';
  }

  get #id() {
    return this.view.params['id'] ?? '';
  }

  get #path() {
    return pathOf(this.#zone, this.#id);
  }

  /** Reads everything anew, and shows it in place. */
  async #load() {
    const { api, signal } = this.view;
    const options = { signal, quiet: this.#certificate !== null };
    try {
      const [certificate, history, points] = await Promise.all([
        api.get(this.#path, {}, options),
        api.get(historyPath(this.#zone, this.#id), {}, options),
        readPoints(this.view, options),
      ]);
      this.#certificate = certificate.result;
      this.#events = history.result;
      this.#points = points;
      this.#error = null;
      await this.#loadNeighbours(certificate.result);
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      this.#error = error;
    }
    this.#note();
    this.#draw();
    if (this.#isPending) {
      void this.#watch();
    }
  }

  /**
   * Reads the neighbours in the line, whose status may have changed too.
   *
   * @param {ClientCertificate} certificate
   */
  async #loadNeighbours({ certgate: line = {} }) {
    const { api, signal } = this.view;
    const ids = [line.replaces, line.replaced_by].filter((id) => id !== undefined);
    const paths = ids.map((id) => pathOf(this.#zone, id));
    const read = await Promise.all(paths.map((path) => api.get(path, {}, { signal, quiet: true })));
    this.#neighbours = new Map(read.map(({ result }) => [result.id, result]));
  }

  get #isPending() {
    return this.#certificate?.status.startsWith('pending_') ?? false;
  }

  /** Remembers which points have confirmed the last change. */
  #note() {
    const change = this.#events && lastChange(this.#events);
    const epoch = change?.epoch ?? 0;
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#confirmed.clear();
    }
    for (const { point, state } of progressOf(this.#points ?? [], epoch)) {
      if (state === 'done' && !this.#confirmed.has(point.id) && change) {
        this.#confirmed.set(point.id, Math.max(0, Date.now() - this.#begun) / 1000);
      }
    }
  }

  /** Looks until the change is settled. A hidden tab waits. */
  async #watch() {
    if (this.#isWatching) {
      return;
    }
    this.#isWatching = true;
    const { signal } = this.view;
    try {
      while (this.#isPending) {
        await sleep(LOOK_MS, signal);
        if (document.hidden) {
          continue;
        }
        const was = this.#certificate?.status;
        this.#isWatching = true;
        await this.#load();
        const status = this.#certificate?.status;
        if (status !== was && status) {
          this.view.announce(text.common.status[status]);
        }
      }
    } catch {
      // The page was left.
    } finally {
      this.#isWatching = false;
    }
  }

  #draw() {
    const { view } = this;
    if (!this.#certificate) {
      const isMissing = this.#error instanceof ApiError && this.#error.code === NO_CERTIFICATE;
      view.render(isMissing ? empty(words.missing, this.#elsewhere()) : errorNotice(this.#error));
      return;
    }
    const certificate = this.#certificate;
    view.title(visible(certificate.common_name).slice(0, 200) || words.title);
    view.render(html`
      <p class="crumb"><a href=${positions.last}>${words.toList}</a></p>
      ${this.#error ? errorNotice(this.#error) : nothing} ${this.#outcome}
      ${this.#header(certificate)} ${this.#line(certificate)} ${this.#progress()}
      <div class="grid certificate">
        <section class="panel" aria-labelledby="fields">
          <h2 id="fields">${words.fields}</h2>
          ${this.#fields(certificate)}
        </section>
        <section class="panel" aria-labelledby="history">
          <h2 id="history">${words.history}</h2>
          ${this.#timeline()}
        </section>
      </div>
      <section class="panel" aria-labelledby="extensions">
        <h2 id="extensions">${words.decoded}</h2>
        ${this.#decoded(certificate)}
      </section>
      <section class="panel" aria-labelledby="pem">
        <h2 id="pem">${words.files}</h2>
        ${this.#files(certificate)}
      </section>
    `);
  }

  /** What to do about an ID that no certificate has. The command line shows 16 digits of it. */
  #elsewhere() {
    const isBeginning = /^[0-9a-f]{6,31}$/i.test(this.#id);
    return isBeginning
      ? html`<a class="button" href=${`#/certificates?id.startswith=${this.#id}`}>
          ${words.findBeginning}
        </a>`
      : html`<a class="button" href="#/certificates">${words.toList}</a>`;
  }

  /** @param {ClientCertificate} certificate */
  #header(certificate) {
    const { session } = this.view;
    const { status } = certificate;
    const isRevoked = status === 'revoked' || status === 'pending_revocation';
    const change = this.#events && lastChange(this.#events);
    const mayUndo = canUndo(status, this.#events);
    const canRevoke = !isRevoked || mayUndo;
    const mayRevoke = session.may('Client Certificates Revoke');
    const mayRestore = session.may('Client Certificates Restore');
    const lacks = [
      ...(canRevoke && !mayRevoke ? ['Client Certificates Revoke'] : []),
      ...(mayUndo && !mayRestore ? ['Client Certificates Restore'] : []),
    ];
    return html`<div class="panel state">
      <p class="state-line">
        ${standingBadges(certificate)}
        ${
          isRevoked && change
            ? html`<span>
                ${words.reasonWords(change.reason ?? 'certificateHold')}, ${ago(change.at)}
              </span>`
            : html`<span>
              ${words.expires(Date.parse(certificate.expires_on) < Date.now())}
              ${ago(certificate.expires_on)}
            </span>`
        }
      </p>
      <div class="actions">
        ${
          mayUndo && mayRestore
            ? html`<button class="primary" ?disabled=${this.#isBusy} @click=${this.#restore}>
              ${words.restore}
            </button>`
            : nothing
        }
        ${
          canRevoke && mayRevoke
            ? html`<button
              class=${isRevoked ? '' : 'danger'}
              ?disabled=${this.#isBusy}
              @click=${this.#askRevoke}
            >
              ${isRevoked ? words.makeFinal : words.revoke}
            </button>`
            : nothing
        }
      </div>
      ${lacks.length > 0 ? html`<p class="hint">${words.lacks(lacks)}</p>` : nothing}
      ${isRevoked && !mayUndo ? html`<p class="hint">${words.cannotUndo}</p>` : nothing}
      ${mayUndo && mayRestore ? this.#restoreCommands() : nothing}
    </div>`;
  }

  /**
   * The neighbours in the line of renewals.
   *
   * @param {ClientCertificate} certificate
   */
  #line(certificate) {
    const { replaces, replaced_by: newer } = certificate.certgate ?? {};
    if (replaces === undefined && newer === undefined) {
      return nothing;
    }
    return html`<section class="panel" aria-labelledby="line">
      <h2 id="line">${words.line}</h2>
      ${newer === undefined ? nothing : html`<p>${words.isReplaced(works(certificate))}</p>`}
      <dl class="facts">
        ${this.#neighbour(words.replacedBy, newer)} ${this.#neighbour(words.replaces, replaces)}
      </dl>
    </section>`;
  }

  /**
   * @param {string} title
   * @param {string | undefined} id
   */
  #neighbour(title, id) {
    const one = id === undefined ? undefined : this.#neighbours.get(id);
    return one === undefined
      ? nothing
      : html`<dt>${title}</dt>
          <dd>
            <a href=${`#/certificates/${one.id}`}><code>${one.id}</code></a>
            ${statusBadge(one)}
            <span class="quiet-text">${words.issued} ${ago(one.issued_on)}</span>
          </dd>`;
  }

  /** The certificate that this one replaced, if clients can still use it. */
  get #workingPredecessor() {
    const one = this.#neighbours.get(this.#certificate?.certgate?.replaces ?? '');
    return one !== undefined && works(one) ? one : null;
  }

  #restoreCommands() {
    const curl = this.view.api.curl('PATCH', this.#path, { reactivate: true });
    const cli = commandLine('certgate', 'cert', 'restore', this.#id, '--wait');
    return equivalents(words.restoreCommand, curl, cli);
  }

  /** @param {string} reason */
  #revokeCommands(reason) {
    const body = bodyOf(/** @type {import('../certificates/reasons.js').Reason} */ (reason));
    const curl = this.view.api.curl('DELETE', this.#path, body);
    const flag = isFinal(reason) ? ['--reason', kebab(reason)] : [];
    const cli = commandLine('certgate', 'cert', 'revoke', this.#id, ...flag, '--wait');
    return equivalents(words.revokeCommand, curl, cli);
  }

  #askRevoke = async () => {
    const certificate = /** @type {ClientCertificate} */ (this.#certificate);
    const isOnHold =
      certificate.status !== 'active' && certificate.status !== 'pending_reactivation';
    let word = isOnHold ? 'keyStolen' : 'hold';
    const title = words.revokeTitle(
      visible(certificate.common_name).slice(0, 80) || certificate.id,
    );
    const chosen = await openDialog(
      title,
      (/** @type {(value: string | null) => void} */ close, redraw) => {
        const choose = (/** @type {string} */ next) => {
          word = next;
          redraw();
        };
        const reason = reasonOf(word);
        return html`
          ${reasonFields(word, choose, isOnHold)} ${consequence(reason)}
          ${this.#workingPredecessor ? notice('warning', words.olderWorks) : nothing}
          ${this.#revokeCommands(reason)}
          <div class="actions">
            <button @click=${() => close(null)}>${text.common.cancel}</button>
            <button class="danger" @click=${() => close(word)}>
              ${isFinal(reason) ? words.revokeFinally : words.revokeNow}
            </button>
          </div>
        `;
      },
      this.view.signal,
    );
    if (chosen !== null) {
      await this.#revoke(reasonOf(chosen));
    }
  };

  /** @param {import('../certificates/reasons.js').Reason} reason */
  async #revoke(reason) {
    const { api } = this.view;
    await this.#act(async () => {
      const { messages } = await api.delete(this.#path, bodyOf(reason));
      if (wasRevokedBefore(messages)) {
        return notice('info', messages[0]?.message ?? '');
      }
      const mayUndo = !isFinal(reason) && this.view.session.may('Client Certificates Restore');
      const undo = html`<button @click=${this.#restore}>${words.undo}</button>`;
      return notice('success', words.revoked(isFinal(reason)), mayUndo ? undo : nothing);
    });
  }

  #restore = async () => {
    const { api } = this.view;
    await this.#act(async () => {
      await api.patch(this.#path, { reactivate: true });
      return notice('success', words.restored);
    });
  };

  /** @param {() => Promise<unknown>} action Returns what to show afterwards. */
  async #act(action) {
    this.#isBusy = true;
    this.#begun = Date.now();
    this.#outcome = nothing;
    this.#draw();
    try {
      this.#outcome = await action();
      this.#isFollowing = true;
      this.view.live.expect();
    } catch (error) {
      if (this.view.signal.aborted) {
        return;
      }
      this.#outcome = errorNotice(error);
    }
    this.#isBusy = false;
    await this.#load();
  }

  /** The last change at each enforcement point. */
  #progress() {
    const change = this.#events && lastChange(this.#events);
    if (!change || (!this.#isFollowing && !this.#isPending)) {
      return nothing;
    }
    const isRevocation = change.action === 'revoked';
    const title = isRevocation ? words.refusing : words.admitting;
    return html`<section class="panel" aria-labelledby="progress" aria-busy=${this.#isPending}>
      <h2 id="progress">${title}</h2>
      <p role="status">${this.#isPending ? words.pending : words.settled(isRevocation)}</p>
      ${this.#pointRows(change, isRevocation)}
    </section>`;
  }

  /**
   * @param {CertificateEvent} change
   * @param {boolean} isRevocation
   */
  #pointRows(change, isRevocation) {
    return pointProgress({
      points: this.#points,
      epoch: change.epoch ?? 0,
      isRevocation,
      ...(this.#isFollowing ? { seconds: (id) => this.#confirmed.get(id) ?? null } : {}),
    });
  }

  /** @param {ClientCertificate} certificate */
  #fields(certificate) {
    const subject = /** @type {const} */ ([
      [words.commonName, certificate.common_name],
      [words.organization, certificate.organization],
      [words.organizationalUnit, certificate.organizational_unit],
      [words.location, certificate.location],
      [words.region, certificate.state],
      [words.country, certificate.country],
    ]);
    return html`<dl class="facts">
      ${subject.map(([title, value]) =>
        value ? html`<dt>${title}</dt><dd>${foreign(value, 200)}</dd>` : nothing,
      )}
      <dt>${words.validFrom}</dt>
      <dd>${when(certificate.issued_on)} (${ago(certificate.issued_on)})</dd>
      <dt>${words.validTo}</dt>
      <dd>${when(certificate.expires_on)} (${ago(certificate.expires_on)})</dd>
      <dt>${words.validity}</dt>
      <dd>${words.days(certificate.validity_days)}</dd>
      <dt>${words.authority}</dt>
      <dd>${foreign(certificate.certificate_authority.name, 200)}</dd>
      ${copied(words.id, certificate.id)} ${copied(words.serial, certificate.serial_number)}
      ${copied(words.fingerprint, certificate.fingerprint_sha256)}
      ${copied(words.ski, certificate.ski)}
      <dt>${words.signature}</dt>
      <dd>${certificate.signature}</dd>
    </dl>`;
  }

  /** @param {ClientCertificate} certificate */
  #decoded({ certificate: pem }) {
    let decoded;
    try {
      decoded = readCertificate(derOfPem(pem) ?? new Uint8Array());
    } catch {
      return html`<p class="hint">${words.notDecoded}</p>`;
    }
    return html`<dl class="facts">
      <dt>${words.subject}</dt>
      <dd>${foreign(decoded.subject, 400)}</dd>
      <dt>${words.issuer}</dt>
      <dd>${foreign(decoded.issuer, 400)}</dd>
      <dt>${words.key}</dt>
      <dd>${decoded.key}</dd>
      ${decoded.extensions.map(
        ({ name, critical, values }) =>
          html`<dt>
              ${words.extension(name)}
              ${critical ? html`<span class="hint">${words.critical}</span>` : nothing}
            </dt>
            <dd>${values.map((value) => html`<div>${foreign(value, 400)}</div>`)}</dd>`,
      )}
    </dl>`;
  }

  /** @param {ClientCertificate} certificate */
  #files(certificate) {
    const { account, api, session } = this.view;
    const name = certificate.common_name || certificate.id;
    const mayReadCas = account !== null && session.may('Account Settings Read');
    const pem = `${certificate.certificate}\n`;
    const type = 'application/x-pem-file';
    return html`<div class="actions">
        <button @click=${() => download(`${name}.crt`, type, [pem])}>${words.downloadPem}</button>
        ${
          mayReadCas
            ? html`<button @click=${() => void this.#downloadChain(certificate)}>
              ${words.downloadChain}
            </button>`
            : nothing
        }
        ${copyButton(pem, words.copyPem)}
        ${
          certificate.csr
            ? html`<button
                class="quiet"
                @click=${() => download(`${name}.csr`, type, [certificate.csr])}
              >
              ${words.downloadCsr}
            </button>`
            : nothing
        }
      </div>
      ${mayReadCas ? nothing : html`<p class="hint">${words.mayNotReadCas}</p>`}
      <details>
        <summary>${words.showPem}</summary>
        <pre class="pem" tabindex="0" aria-label=${words.showPem}>${pem}</pre>
      </details>
      ${equivalents(
        words.readCommand,
        api.curl('GET', this.#path),
        commandLine('certgate', 'cert', 'export', this.#id, '--chain'),
      )}`;
  }

  /** @param {ClientCertificate} certificate */
  async #downloadChain(certificate) {
    const { account, api, signal } = this.view;
    try {
      const path = `/certgate/v1/accounts/${account}/managed_authorities`;
      const { result } = await api.get(path, {}, { signal });
      const id = certificate.certificate_authority.id;
      const authority = result.find((/** @type {{ id: string }} */ one) => one.id === id);
      if (!authority) {
        this.#outcome = notice('warning', words.noChain);
      } else {
        const parts = [certificate.certificate, authority.certificate].map(
          (pem) => `${pem.trim()}\n`,
        );
        const name = certificate.common_name || certificate.id;
        download(`${name}-chain.pem`, 'application/x-pem-file', parts);
        return;
      }
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      this.#outcome = errorNotice(error);
    }
    this.#draw();
    scrollTo(0, 0);
  }

  /** The newest event first. */
  #timeline() {
    const events = (this.#events ?? []).toReversed();
    const shown = this.#areAllShown ? events : events.slice(0, EVENTS_SHOWN);
    const showAll = () => {
      this.#areAllShown = true;
      this.#draw();
    };
    return html`<ol class="timeline">
        ${shown.map((event) => timelineEntry(event))}
      </ol>
      <p><a href=${`#/audit?certificate=${this.#id}`}>${words.auditLog}</a></p>
      ${
        shown.length < events.length
          ? html`<button class="quiet" @click=${showAll}>${words.allEvents(events.length)}</button>`
          : nothing
      }`;
  }
}

/**
 * @param {string} title
 * @param {string} value
 */
function copied(title, value) {
  return html`<dt>${title}</dt>
    <dd class="copied"><code>${value}</code> ${copyButton(value, words.copyField(title))}</dd>`;
}

/** @param {CertificateEvent} event */
function timelineEntry({ action, at, actor, address, reason, audit_entry: entry }) {
  const by = actor.name ?? actor.id;
  return html`<li class=${action}>
    <div class="timeline-title">
      <strong>${words.action(action)}</strong>
      ${reason ? html`<span>${words.reasonWords(reason)}</span>` : nothing}
    </div>
    <div class="hint">
      ${when(at, 'second')} · ${words.actor(actor.type)}
      ${by ? foreign(by, 60) : nothing}${address ? html` · ${address}` : nothing}
      ${entry === null ? nothing : html` · ${words.entry(entry)}`}
    </div>
  </li>`;
}
