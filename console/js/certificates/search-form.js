/** The search box, the filters and the chips above a list of certificates. */

import { html, live as liveValue, nothing } from '../../vendor/lit-html.js';
import { text } from '../text.js';
import { visible } from '../ui/certificate-name.js';
import { chips } from '../ui/chips.js';
import { notice } from '../ui/notice.js';
import { derOfPem, isSame, readCertificate } from '../x509.js';
import { chipLabel } from './chip-labels.js';
import { afterOf, beforeOf, firstDay, lastDay } from './dates.js';
import {
  REPLACED,
  STATUSES,
  changed,
  chipsOf,
  replacedOf,
  searchText,
  statusOf,
  withoutSearch,
} from './filters.js';
import { CONTAINS_MIN, interpret } from './search-box.js';

/** @typedef {import('../types.js').ClientCertificate} ClientCertificate */
/** @typedef {import('./requests.js').Listed} Listed */

const words = text.certificates;

/** The days of the buttons beside the times. */
const DAYS = { expires: [7, 30, 90], issued: [-1, -7, -30], revoked: [-1, -7, -30] };

/**
 * @typedef {object} Owner The page with the form.
 * @property {import('../page.js').View} view
 * @property {boolean} hasStatus The user chooses a status.
 * @property {(query: URLSearchParams) => import('./filters.js').ReplacedFilter} [replacedOf] The
 *   treatment of replaced certificates, if it is another one than that of the list.
 * @property {Listed | null} listed
 * @property {(query: URLSearchParams, signal: AbortSignal) => Promise<Listed>} read
 * @property {(query: URLSearchParams, listed: Listed | null) => void} found Shows the result of a
 *   search.
 * @property {(error: unknown) => void} failed
 * @property {() => void} cancel Ends the request of the list.
 * @property {() => void} draw
 */

/**
 * The CAs of the last zone: a list that is shown again has its columns at once.
 *
 * @type {{ zone: string | undefined, authorities: { id: string, name: string }[] }}
 */
let known = { zone: undefined, authorities: [] };

export class SearchForm {
  /** @type {AbortController} */
  #request = new AbortController();
  /** @type {import('./search-box.js').Problem | null} */
  #problem = null;
  /** @type {import('../x509.js').Certificate | null} */
  #pasted = null;
  #areFiltersOpen = false;
  /** The CAs that signed certificates of the zone. */
  authorities = known.authorities;

  /** @param {Owner} owner */
  constructor(owner) {
    this.owner = owner;
    const { signal } = owner.view;
    signal.addEventListener('abort', () => this.#request.abort());
    if (known.zone !== owner.view.zone?.id) {
      this.authorities = [];
    }
    void this.#readAuthorities();
  }

  get #query() {
    return this.owner.view.query;
  }

  async #readAuthorities() {
    const { api, signal, zone } = this.owner.view;
    try {
      const path = `/certgate/v1/zones/${zone?.id}/summary`;
      const { result } = await api.get(path, {}, { signal, quiet: true });
      this.authorities = result.certificate_authorities;
      known = { zone: zone?.id, authorities: this.authorities };
      this.owner.draw();
    } catch {
      // The filter then has no CAs, and a chip has the ID of one.
    }
  }

  /** @param {string} id */
  #authorityName(id) {
    return this.authorities.find((one) => one.id === id)?.name ?? id;
  }

  /** @param {Record<string, string | null>} changes */
  #change(changes) {
    this.owner.view.navigate(changed(this.#query, { ...changes }));
  }

  /** @param {Event} event */
  #typed = async (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    const { candidates, problem, certificate } = interpret(input.value);
    this.#problem = problem ?? null;
    this.#pasted = certificate ?? null;
    if (problem === 'privateKey') {
      input.value = '';
    }
    const others = withoutSearch(this.#query);
    this.#request.abort();
    this.owner.cancel();
    if (problem) {
      this.owner.draw();
      return;
    }
    const { signal } = (this.#request = new AbortController());
    try {
      const found = await this.#firstFound(candidates, others, signal);
      if (signal.aborted) {
        return;
      }
      this.owner.found(found?.query ?? others, found?.listed ?? null);
      if (certificate) {
        input.value = searchText(found?.query ?? others);
      }
    } catch (error) {
      if (!signal.aborted) {
        this.owner.failed(error);
      }
    }
  };

  /**
   * Returns the first meaning of a text that has matches; without one, the first meaning. A text
   * inside of names has no index, so that it comes last.
   *
   * @param {import('./search-box.js').Candidate[]} candidates
   * @param {URLSearchParams} others
   * @param {AbortSignal} signal
   */
  async #firstFound(candidates, others, signal) {
    const queries = candidates.map(({ parameter, value }) =>
      changed(others, { [parameter]: value }),
    );
    const isLast = (/** @type {number} */ index) => candidates[index]?.meaning === 'contains';
    const read = async (/** @type {URLSearchParams} */ query) => ({
      query,
      listed: await this.owner.read(query, signal),
    });
    const quick = await Promise.all(queries.filter((_, index) => !isLast(index)).map(read));
    const found = quick.find(({ listed }) => listed.items.length > 0);
    if (found) {
      return found;
    }
    for (const query of queries.filter((_, index) => isLast(index))) {
      const inside = await read(query);
      if (inside.listed.items.length > 0 || quick.length === 0) {
        return inside;
      }
    }
    return quick[0];
  }

  /** @param {unknown} [end] Stands at the end of the bar. */
  bar(end = nothing) {
    const query = this.#query;
    const { activeElement: active } = document;
    const isTyping = active instanceof HTMLInputElement && active.id === 'search';
    const value = isTyping ? active.value : searchText(query);
    const status = statusOf(query);
    return html`<div class="bar" role="search">
      <label class="grow">
        <span class="unseen">${words.search}</span>
        <input
          id="search"
          type="search"
          autocomplete="off"
          autocapitalize="off"
          spellcheck="false"
          placeholder=${words.placeholder}
          .value=${liveValue(value)}
          @input=${this.#typed}
          @keydown=${this.#searchKey}
        />
      </label>
      ${this.owner.hasStatus ? this.#statusField(status) : nothing} ${this.#replacedField()}
      <button aria-expanded=${this.#areFiltersOpen} @click=${this.#toggleFilters}>
        ${words.filters}
      </button>
      ${end}
    </div>`;
  }

  /** @param {import('./filters.js').StatusFilter} status */
  #statusField(status) {
    return html`<label class="inline">
      ${words.status}
      <select @change=${this.#statusChosen}>
        ${STATUSES.map(
          (each) =>
            html`<option value=${each} .selected=${each === status}>
              ${words.statuses[each]}
            </option>`,
        )}
      </select>
    </label>`;
  }

  #replacedField() {
    const { replacedOf: place = replacedOf } = this.owner;
    const chosen = place(this.#query);
    const choose = (/** @type {Event} */ event) => {
      const { value } = /** @type {HTMLSelectElement} */ (event.target);
      const isDefault = value === place(changed(this.#query, { replaced: null }));
      this.#change({ replaced: isDefault ? null : value });
    };
    return html`<label class="inline" title=${words.replacedHint}>
      ${text.common.replaced}
      <select @change=${choose}>
        ${REPLACED.map(
          (each) =>
            html`<option value=${each} .selected=${each === chosen}>
              ${words.replaced[each]}
            </option>`,
        )}
      </select>
    </label>`;
  }

  /** @param {KeyboardEvent} event */
  #searchKey = ({ key }) => {
    const [only, second] = this.owner.listed?.items ?? [];
    if (key === 'Enter' && only && !second && searchText(this.#query)) {
      this.owner.view.navigate(`#/certificates/${only.id}`);
    }
  };

  /** @param {Event} event */
  #statusChosen = (event) => {
    const { value } = /** @type {HTMLSelectElement} */ (event.target);
    const isDefault = value === statusOf(changed(this.#query, { status: null }));
    this.#change({ status: isDefault ? null : value });
  };

  #toggleFilters = () => {
    this.#areFiltersOpen = !this.#areFiltersOpen;
    this.owner.draw();
  };

  /** The filters by time and CA, if they are open. */
  filters() {
    const authority = this.#query.get('certificate_authority_id');
    if (!this.#areFiltersOpen) {
      return nothing;
    }
    return html`<div class="panel time-filters">
      ${this.#timeFilter('expires')} ${this.#timeFilter('issued')} ${this.#timeFilter('revoked')}
      <fieldset>
        <legend>${words.authority}</legend>
        <select
          aria-label=${words.authority}
          @change=${(/** @type {Event} */ event) => {
            const { value } = /** @type {HTMLSelectElement} */ (event.target);
            this.#change({ certificate_authority_id: value });
          }}
        >
          <option value="" .selected=${!authority}>${words.anyAuthority}</option>
          ${this.authorities.map(
            ({ id, name }) =>
              html`<option value=${id} .selected=${id === authority}>${visible(name)}</option>`,
          )}
        </select>
      </fieldset>
    </div>`;
  }

  /** @param {'expires' | 'issued' | 'revoked'} kind */
  #timeFilter(kind) {
    const query = this.#query;
    const [after, before] = [`${kind}_on.after`, `${kind}_on.before`];
    const first = firstDay(query.get(after) ?? undefined);
    const end = lastDay(query.get(before) ?? undefined);
    /** @type {(name: string, of: (day: string) => string) => (event: Event) => void} */
    const set = (name, of) => (event) => {
      const { value } = /** @type {HTMLInputElement} */ (event.target);
      this.#change({ [name]: value ? of(value) : null });
    };
    const quick = (/** @type {number} */ days) => {
      const [from, to] = days > 0 ? [0, days] : [days + 1, 0];
      this.#change({ [after]: afterOf(dayFromNow(from)), [before]: beforeOf(dayFromNow(to)) });
    };
    const expired = () => this.#change({ [after]: null, [before]: beforeOf(dayFromNow(-1)) });
    return html`<fieldset>
      <legend>${words.times[kind]}</legend>
      <div class="days">
        <label>
          ${words.from}
          <input type="date" .value=${first ?? ''} @change=${set(after, afterOf)} />
        </label>
        <label>
          ${words.until}
          <input type="date" .value=${end ?? ''} @change=${set(before, beforeOf)} />
        </label>
      </div>
      <div class="quick">
        ${DAYS[kind].map(
          (days) =>
            html`<button class="quiet" @click=${() => quick(days)}>${words.days(days)}</button>`,
        )}
        ${
          kind === 'expires'
            ? html`<button class="quiet" @click=${expired}>${words.expired}</button>`
            : nothing
        }
      </div>
    </fieldset>`;
  }

  chips() {
    const query = this.#query;
    const shown = chipsOf(query).map((chip) => ({
      label: chipLabel(chip, (id) => this.#authorityName(id)),
      remove: () => {
        this.#pasted = null;
        const none = Object.fromEntries(chip.parameters.map((name) => [name, null]));
        this.#change({ ...none });
      },
    }));
    const begins = query.get('common_name.startswith');
    const canContain = begins && [...begins].length >= CONTAINS_MIN;
    const contain = () =>
      this.#change({ 'common_name.startswith': null, 'common_name.contains': begins });
    return html`<div class="chip-row">
      ${chips(shown)}
      ${
        canContain
          ? html`<button class="quiet" @click=${contain}>${words.containInstead}</button>`
          : nothing
      }
    </div>`;
  }

  /** What the text of the search box is, if that is not evident. */
  notice() {
    const { listed } = this.owner;
    if (this.#problem) {
      return notice('warning', words.problem[this.#problem]);
    }
    if (!this.#pasted || !listed) {
      return nothing;
    }
    const [first] = listed.items;
    if (!first) {
      return notice('warning', words.pastedUnknown);
    }
    const found = listed.items.find((item) => this.#isPasted(item));
    const link = html`<a href=${`#/certificates/${(found ?? first).id}`}>${words.open}</a>`;
    return found
      ? notice('success', words.pastedFound, link)
      : notice('warning', words.pastedOther, link);
  }

  /** @param {ClientCertificate} item */
  #isPasted(item) {
    try {
      const der = derOfPem(item.certificate);
      return this.#pasted !== null && der !== null && isSame(readCertificate(der), this.#pasted);
    } catch {
      return false;
    }
  }
}

/** @param {number} days */
function dayFromNow(days) {
  const date = new Date();
  date.setDate(date.getDate() + days);
  const [year, month, day] = [date.getFullYear(), date.getMonth() + 1, date.getDate()];
  return [year, String(month).padStart(2, '0'), String(day).padStart(2, '0')].join('-');
}
