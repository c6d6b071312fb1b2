/** Page 2: find certificates, choose some of them, export them. */

import { html, live as liveValue, nothing } from '../../vendor/lit-html.js';
import { ApiError } from '../api.js';
import { csvFile } from '../certificates/export.js';
import {
  MATCHES_MAX,
  PAGE_SIZES,
  changed,
  chipsOf,
  conditionsOf,
  isStatusOnly,
  pageOf,
  replacedOf,
  requestOf,
  statusOf,
  withoutFilters,
} from '../certificates/filters.js';
import { positions } from '../certificates/last-list.js';
import { ChangingError, every } from '../certificates/matches.js';
import { onChanges } from '../certificates/refresh.js';
import { pagesOf, pathOf, readList } from '../certificates/requests.js';
import { SearchForm } from '../certificates/search-form.js';
import { CHOSEN_MAX, selection } from '../certificates/selection.js';
import { standingBadges } from '../certificates/status.js';
import { sleep } from '../connection.js';
import { text } from '../text.js';
import { certificateName, foreign, visible } from '../ui/certificate-name.js';
import { download } from '../ui/download.js';
import { empty, errorNotice, loading, notice } from '../ui/notice.js';
import { pager } from '../ui/pager.js';
import { progress } from '../ui/progress.js';
import { table } from '../ui/table.js';
import { ago, when } from '../ui/time.js';

/** @typedef {import('../types.js').ClientCertificate} ClientCertificate */
/** @typedef {import('../certificates/requests.js').Listed} Listed */

const words = text.certificates;

/** The requests for chosen certificates at once. */
const AT_ONCE = 4;

/** The days before its end from which a row says how near it is. */
const NEAR_DAYS = 60;

/** The column of the CA, in zones with several. */
const AUTHORITY = {
  title: words.authority,
  cell: (/** @type {ClientCertificate} */ item) => foreign(item.certificate_authority.name, 40),
};

/** The age of a list that is shown without a look at the server, in milliseconds. */
const FRESH_MS = 1_000;

/** The time without a new search after which the matches with other statuses are counted. */
const COUNT_MS = 300;

/**
 * The last list, to show it again immediately.
 * @type {{ key: string, listed: Listed, at: number } | null}
 */
let last = null;

/** @type {List | null} */
let open = null;

/** @type {import('../page.js').Page} */
export const page = {
  title: words.title,
  needs: ['Client Certificates Read'],
  open(view) {
    if (open?.view !== view) {
      open = new List(view);
    }
    open.show();
  },
  leave() {
    return open?.isExporting !== true;
  },
};

/** The page from entry until it is left. */
class List {
  /** @type {Listed | null} */
  #listed = null;
  /** The query that `#listed` answers. */
  #shown = '';
  /** @type {unknown} */
  #error = null;
  #isLoading = false;
  #isSearchingOn = false;
  /** The number of matches with other statuses. */
  #others = 0;
  /** `#others` is only the least number of them. */
  #areMoreOthers = false;
  /** @type {AbortController} */
  #request = new AbortController();
  #isRestored = false;
  #fragment = '';
  /** @type {{ rows: number, all: number, stop: AbortController } | null} */
  #export = null;
  /** @type {unknown} */
  #exportError = null;

  #counting = new AbortController();
  #form;
  hasStatus = true;

  /** @param {import('../page.js').View} view */
  constructor(view) {
    this.view = view;
    selection.enter(view.zone?.id ?? null);
    onChanges(view, () => void this.#load(true));
    view.signal.addEventListener('abort', () => {
      this.#request.abort();
      this.#export?.stop.abort();
      positions.remember(this.#fragment, scrollY);
    });
    this.#form = new SearchForm(this);
  }

  get listed() {
    return this.#listed;
  }

  get isExporting() {
    return this.#export !== null;
  }

  get #zone() {
    return this.view.zone?.id ?? '';
  }

  /** Shows the list of the query. */
  show() {
    const { view } = this;
    const isOtherPage = this.#fragment !== '' && this.#fragment !== location.hash;
    this.#fragment = location.hash;
    // An answer about the query before must not replace the one of this query.
    this.cancel();
    if (this.#shown === view.query.toString() && this.#listed) {
      this.draw();
      return;
    }
    const key = `${this.#zone}?${view.query}`;
    if (last?.key === key && !this.#listed) {
      const isFresh = performance.now() - last.at < FRESH_MS;
      this.#take(last.listed);
      if (!isFresh) {
        void this.#load(true);
      }
      return;
    }
    if (isOtherPage && this.#listed) {
      scrollTo(0, 0);
    }
    void this.#load(false);
  }

  /**
   * @param {boolean} isQuiet Without a sign of waiting, and without an error if it fails.
   */
  async #load(isQuiet) {
    const { view } = this;
    const query = new URLSearchParams(view.query);
    if (isQuiet && this.#isLoading) {
      return;
    }
    this.#request.abort();
    const request = new AbortController();
    this.#request = request;
    this.#isLoading = !isQuiet;
    if (!isQuiet) {
      this.draw();
    }
    try {
      const listed = await this.#read(requestOf(query), request.signal, isQuiet);
      if (!request.signal.aborted) {
        this.#take(listed);
      }
    } catch (error) {
      if (!request.signal.aborted && !isQuiet) {
        this.#isLoading = false;
        this.#error = error;
        this.#listed = null;
        this.draw();
      }
    }
  }

  /**
   * @param {Record<string, string>} parameters
   * @param {AbortSignal} signal
   * @param {boolean} [quiet]
   */
  #read(parameters, signal, quiet = false) {
    const onContinue = () => {
      this.#isSearchingOn = true;
      this.draw();
    };
    return readList(this.view.api, this.#zone, parameters, { signal, quiet, onContinue });
  }

  /** @param {Listed} listed */
  #take(listed) {
    const isNew = this.#shown !== this.view.query.toString();
    this.#listed = listed;
    this.#error = null;
    this.#isLoading = false;
    this.#isSearchingOn = false;
    this.#shown = this.view.query.toString();
    last = { key: `${this.#zone}?${this.#shown}`, listed, at: performance.now() };
    selection.update(listed.items);
    this.draw();
    if (isNew) {
      this.view.announce(words.found(listed.info.total_count, listed.isCapped));
    }
    this.#restorePosition();
    this.#counting.abort();
    this.#counting = new AbortController();
    void this.#countOthers(AbortSignal.any([this.#counting.signal, this.view.signal]));
  }

  #restorePosition() {
    if (!this.#isRestored) {
      this.#isRestored = true;
      const position = positions.of(this.#fragment);
      if (position) {
        scrollTo(0, position);
      }
    }
  }

  /**
   * Counts the matches that are omitted because of their status, as the command line does, or
   * because of their place in a line.
   *
   * @param {AbortSignal} signal
   */
  async #countOthers(signal) {
    const { query } = this.view;
    const listed = this.#listed;
    const isWhole = this.#omitted === null;
    if (isWhole || !listed || listed.isCapped || query.get('continue')) {
      this.#others = 0;
      return;
    }
    // A text inside of names has no index: the server would read every name twice.
    if (query.get('common_name.contains') && listed.items.length > 0) {
      this.#others = 0;
      return;
    }
    try {
      await sleep(COUNT_MS, signal);
      const { replaced: _, ...conditions } = conditionsOf(query);
      const parameters = { ...conditions, status: 'all', limit: '1' };
      const { info, isCapped } = await this.#read(parameters, signal, true);
      this.#others = Math.max(0, info.total_count - listed.info.total_count);
      this.#areMoreOthers = isCapped;
      this.draw();
    } catch {
      // The list itself is there.
    }
  }

  /** The conditions for which the list omits matches. */
  get #omitted() {
    const { query } = this.view;
    const [isAll, isWhole] = [statusOf(query) === 'all', replacedOf(query) === 'all'];
    if (isAll) {
      return isWhole ? null : 'replaced';
    }
    return isWhole ? 'status' : 'either';
  }

  /** @param {Record<string, string | null>} changes */
  #change(changes) {
    this.view.navigate(changed(this.view.query, changes));
  }

  cancel() {
    this.#request.abort();
    this.#isLoading = false;
  }

  /**
   * @param {URLSearchParams} query
   * @param {AbortSignal} signal
   */
  read(query, signal) {
    return this.#read(requestOf(query), signal);
  }

  /**
   * @param {URLSearchParams} query
   * @param {Listed | null} listed
   */
  found(query, listed) {
    this.cancel();
    if (listed) {
      last = { key: `${this.#zone}?${query}`, listed, at: performance.now() };
      if (query.toString() === this.view.query.toString()) {
        this.#take(listed);
        return;
      }
      this.#listed = null;
    }
    this.view.navigate(query, { replace: true });
  }

  /** @param {unknown} error */
  failed(error) {
    this.#error = error;
    this.#listed = null;
    this.draw();
  }

  draw() {
    const { view } = this;
    const mayIssue = view.session.may('Client Certificates Issue');
    const issue = mayIssue ? html`<a class="button" href="#/issue">${words.issue}</a>` : nothing;
    view.render(html`
      ${this.#form.bar(issue)} ${this.#form.filters()} ${this.#form.chips()}
      ${this.#form.notice()} ${this.#selectionBar()} ${this.#exportState()} ${this.#body()}
    `);
  }

  #selectionBar() {
    const { session } = this.view;
    if (selection.size === 0) {
      return nothing;
    }
    const mayRevoke = session.may('Client Certificates Revoke');
    const mayRestore = session.may('Client Certificates Restore');
    return html`<div class="panel selection" role="group" aria-label=${words.selection}>
      <strong>${words.selected(selection.size)}</strong>
      ${
        mayRevoke
          ? html`<a class="button" href="#/bulk?action=revoke&selection=1">${words.revoke}</a>`
          : nothing
      }
      ${
        mayRestore
          ? html`<a class="button" href="#/bulk?action=restore&selection=1">${words.restore}</a>`
          : nothing
      }
      <button ?disabled=${this.isExporting} @click=${() => void this.#exportCsv(true)}>
        ${words.export}
      </button>
      <button class="quiet" @click=${this.#clear}>${words.clear}</button>
      ${mayRevoke && mayRestore ? nothing : html`<span class="hint">${words.mayNotChange}</span>`}
    </div>`;
  }

  #clear = () => {
    selection.clear();
    this.draw();
    document.getElementById('search')?.focus();
  };

  #exportState() {
    if (this.#exportError) {
      const problem =
        this.#exportError instanceof ChangingError
          ? notice('error', words.changing)
          : errorNotice(this.#exportError);
      return problem;
    }
    if (!this.#export) {
      return nothing;
    }
    const { rows, all, stop } = this.#export;
    return html`<div class="panel exporting" role="status">
      ${progress({ label: words.exporting, done: rows, all: Math.max(all, rows) })}
      <button @click=${() => stop.abort()}>${text.common.cancel}</button>
    </div>`;
  }

  #body() {
    const { view } = this;
    if (this.#error) {
      return this.#errorState();
    }
    if (!this.#listed) {
      return this.#isSearchingOn ? html`<p role="status">${words.searchingOn}</p>` : loading();
    }
    const { items, info, isCapped } = this.#listed;
    if (items.length === 0) {
      return this.#emptyState(info.total_count);
    }
    const isContinued = view.query.has('continue');
    const isExact = !isCapped && info.continue === undefined;
    return html`
      ${this.#summary()}
      <div class=${this.#isLoading ? 'stale' : ''} aria-busy=${this.#isLoading}>
        ${table({
          caption: words.title,
          columns: this.#columns(items),
          rows: items,
          page: this.#shown,
          key: ({ id }) => id,
          isSelected: ({ id }) => selection.has(id),
        })}
      </div>
      ${this.#limits()}
      ${
        isContinued
          ? nothing
          : pager({
              info,
              isExact,
              go: (page) => this.#change({ page: page > 1 ? String(page) : null }),
            })
      }
    `;
  }

  #summary() {
    const { query, session } = this.view;
    const { size } = pageOf(query);
    const bulkQuery = new URLSearchParams(query);
    ['page', 'per_page', 'order', 'direction', 'continue'].forEach((name) =>
      bulkQuery.delete(name),
    );
    // The page of the action has replaced certificates too, unless its query says otherwise.
    bulkQuery.set('replaced', replacedOf(query));
    const mayChange =
      session.may('Client Certificates Revoke') || session.may('Client Certificates Restore');
    return html`<div class="bar summary">
      <span>${this.#totals()}</span>
      <span class="end">
        <label class="inline">
          ${words.perPage}
          <select @change=${this.#sizeChosen}>
            ${PAGE_SIZES.map(
              (each) => html`<option value=${each} .selected=${each === size}>${each}</option>`,
            )}
          </select>
        </label>
        ${mayChange
          ? html`<a class="button" href=${`#/bulk?${bulkQuery}`}>${words.bulk}</a>`
          : nothing}
        <button ?disabled=${this.isExporting} @click=${() => void this.#exportCsv(false)}>
          ${words.export}
        </button>
      </span>
    </div>`;
  }

  #totals() {
    const { query } = this.view;
    const { info, isCapped } = /** @type {Listed} */ (this.#listed);
    if (query.has('continue') || info.continue !== undefined) {
      return words.someFound(info.count);
    }
    return html`${words.found(info.total_count, isCapped)}
    ${
      this.#others > 0
        ? html`<button class="quiet" @click=${this.#showAll}>${this.#othersWords}</button>`
        : nothing
    }`;
  }

  get #othersWords() {
    return words.others(this.#others, this.#areMoreOthers, this.#omitted ?? 'either');
  }

  #showAll = () => this.#change({ status: 'all', replaced: 'all' });

  /** @param {Event} event */
  #sizeChosen = (event) => {
    const { value } = /** @type {HTMLSelectElement} */ (event.target);
    this.#change({ per_page: value });
  };

  /** Says in words where the list ends, and how to see more. */
  #limits() {
    const { info, isCapped } = /** @type {Listed} */ (this.#listed);
    const next = info.continue;
    if (next !== undefined) {
      const go = () => this.#change({ continue: next });
      return notice(
        'info',
        words.stoppedEarly,
        html`<button @click=${go}>${words.continueSearch}</button>`,
      );
    }
    return isCapped ? notice('info', words.capped(MATCHES_MAX)) : nothing;
  }

  /**
   * @param {readonly ClientCertificate[]} items
   * @returns {import('../ui/table.js').Column<ClientCertificate>[]}
   */
  #columns(items) {
    const isAll = items.every(({ id }) => selection.has(id));
    const isSome = items.some(({ id }) => selection.has(id));
    const choose = (/** @type {Event} */ event) => {
      const { checked } = /** @type {HTMLInputElement} */ (event.target);
      this.#choose(items, checked);
    };
    return [
      {
        title: words.choose,
        hideTitle: true,
        className: 'tight',
        head: html`<input
          type="checkbox"
          aria-label=${words.choosePage}
          .checked=${isAll}
          .indeterminate=${isSome && !isAll}
          @change=${choose}
        />`,
        cell: (item) =>
          html`<input
            type="checkbox"
            aria-label=${words.chooseOne(visible(item.common_name) || item.id)}
            .checked=${liveValue(selection.has(item.id))}
            @change=${(/** @type {Event} */ event) => {
              const { checked } = /** @type {HTMLInputElement} */ (event.target);
              this.#choose([item], checked);
            }}
          />`,
      },
      {
        title: words.name,
        isHeader: true,
        sort: this.#sort('common_name', 'asc'),
        cell: (item) =>
          html`<div>${certificateName(item, `#/certificates/${item.id}`)} ${unit(item)}</div>`,
      },
      { title: words.status, cell: standingBadges, className: 'tight' },
      {
        title: words.expires,
        sort: this.#sort('expires_on', 'asc'),
        cell: ({ expires_on: time }) => end(time),
        className: 'tight',
      },
      {
        title: words.issued,
        sort: this.#sort('issued_on', 'desc'),
        cell: ({ issued_on: time }) => when(time, 'day'),
        className: 'tight',
      },
      ...(this.#form.authorities.length > 1 ? [AUTHORITY] : []),
      {
        title: words.serial,
        className: 'tight',
        cell: ({ serial_number: serial }) =>
          html`<code title=${serial}>${serial.slice(0, 8)}…${serial.slice(-4)}</code>`,
      },
    ];
  }

  /**
   * @param {readonly ClientCertificate[]} items
   * @param {boolean} isChosen
   */
  #choose(items, isChosen) {
    if (!selection.set(items, isChosen)) {
      this.view.announce(words.tooManyChosen(CHOSEN_MAX));
    }
    this.draw();
  }

  /**
   * @param {string} order
   * @param {'asc' | 'desc'} first The direction of the first click.
   * @returns {import('../ui/table.js').Sort}
   */
  #sort(order, first) {
    const asked = pageOf(this.view.query);
    const isIssued = asked.order === null && isStatusOnly(this.view.query);
    const present = asked.order ?? (isIssued ? 'issued_on' : null);
    const usual = present === 'issued_on' ? 'desc' : 'asc';
    const direction = present === order ? (asked.direction ?? usual) : null;
    const next = direction === null ? first : direction === 'asc' ? 'desc' : 'asc';
    return { direction, toggle: () => this.#change({ order, direction: next }) };
  }

  /** @param {number} total */
  #emptyState(total) {
    const { query } = this.view;
    if (total > 0 && pageOf(query).page > 1) {
      const first = () => this.#change({ page: null });
      return empty(
        words.noSuchPage,
        html`<button @click=${first}>${text.common.firstPage}</button>`,
      );
    }
    const isFiltered = chipsOf(query).length > 0;
    const all = () => this.view.navigate(withoutFilters(query));
    const hidden =
      this.#others > 0
        ? html`<button class="primary" @click=${this.#showAll}>${this.#othersWords}</button>`
        : nothing;
    if (isFiltered) {
      return empty(
        words.noMatch(words.statuses[statusOf(query)], statusOf(query) === 'all'),
        html`<p>${words.noMatchHint}</p>
          ${hidden} <button @click=${all}>${words.removeFilters}</button>`,
      );
    }
    return empty(
      statusOf(query) === 'active' ? words.noneActive : words.noneOfStatus,
      html`${hidden}
      ${
        this.view.session.may('Client Certificates Issue')
          ? html`<a class="button" href="#/issue">${words.issue}</a>`
          : nothing
      }`,
    );
  }

  #errorState() {
    const code = this.#error instanceof ApiError ? this.#error.code : 0;
    const reset = (/** @type {Record<string, string | null>} */ changes) => () => {
      this.#error = null;
      this.#change(changes);
    };
    switch (code) {
      case 1532:
        return notice(
          'warning',
          words.beyond(MATCHES_MAX),
          html`<button @click=${reset({ page: null })}>${text.common.firstPage}</button>`,
        );
      case 1533:
        return notice(
          'warning',
          words.tooManyToOrder(MATCHES_MAX),
          html`<button @click=${reset({ order: null, direction: null })}>
            ${words.usualOrder}
          </button>`,
        );
      default:
        return errorNotice(
          this.#error,
          html`<button @click=${() => void this.#load(false)}>${words.again}</button>`,
        );
    }
  }

  /** @param {boolean} isSelection */
  async #exportCsv(isSelection) {
    const { api, zone, query, signal } = this.view;
    const stop = new AbortController();
    const all = isSelection ? selection.size : (this.#listed?.info.total_count ?? 0);
    this.#export = { rows: 0, all, stop };
    this.#exportError = null;
    this.draw();
    const both = AbortSignal.any([signal, stop.signal]);
    const list = pagesOf(api, this.#zone, { signal: both });
    const parts = isSelection ? this.#chosen(both) : every(list, conditionsOf(query));
    try {
      const file = await csvFile(parts, (rows) => {
        this.#export = { rows, all, stop };
        this.draw();
      });
      const day = new Date().toISOString().slice(0, 10);
      download(`certificates-${zone?.name ?? ''}-${day}.csv`, 'text/csv', [file]);
      this.view.announce(words.exported);
    } catch (error) {
      this.#exportError = both.aborted ? null : error;
    } finally {
      this.#export = null;
      this.draw();
    }
  }

  /**
   * Reads the chosen certificates.
   *
   * @param {AbortSignal} signal
   */
  async *#chosen(signal) {
    const chosen = selection.all;
    for (let at = 0; at < chosen.length; at += AT_ONCE) {
      const some = chosen.slice(at, at + AT_ONCE);
      const read = some.map(({ id }) => this.view.api.get(pathOf(this.#zone, id), {}, { signal }));
      yield (await Promise.all(read)).map(
        ({ result }) => /** @type {ClientCertificate} */ (result),
      );
    }
  }
}

/** @param {ClientCertificate} item */
function unit({ organization, organizational_unit: unit }) {
  const parts = [organization, unit].filter(Boolean);
  return parts.length > 0
    ? html`<span class="quiet-text unit">${foreign(parts.join(' · '), 60)}</span>`
    : nothing;
}

/**
 * The day on which a certificate expires, and how near it is.
 *
 * @param {string} time
 */
function end(time) {
  const days = (Date.parse(time) - Date.now()) / 86_400_000;
  return html`<div>
    ${when(time, 'day')}
    ${days < NEAR_DAYS ? html`<span class="quiet-text">${ago(time)}</span>` : nothing}
  </div>`;
}
