/** Page 4: change many certificates: search, preview, confirm, progress, undo. */

import { html, nothing } from '../../vendor/lit-html.js';
import { collect } from '../bulk/collect.js';
import { FILE_OCTETS_MAX, Record, RecordError, opposite } from '../bulk/record.js';
import { Run } from '../bulk/run.js';
import { isRevokedBy, sender } from '../bulk/send.js';
import {
  byName,
  changes,
  commandOf,
  description,
  queryOf,
  replacedIn,
  usualAction,
} from '../bulk/plan.js';
import { changed, requestOf } from '../certificates/filters.js';
import { ChangingError } from '../certificates/matches.js';
import { pointProgress, readPoints } from '../certificates/point-progress.js';
import { lastChange } from '../certificates/progress.js';
import { bodyOf, isFinal, kebab, reasonOf } from '../certificates/reasons.js';
import { historyPath, pathOf, readList } from '../certificates/requests.js';
import { consequence, reasonFields } from '../certificates/revoke-form.js';
import { SearchForm } from '../certificates/search-form.js';
import { selection } from '../certificates/selection.js';
import { standingBadges } from '../certificates/status.js';
import { sleep } from '../connection.js';
import { commandLine } from '../shell-words.js';
import { count, text } from '../text.js';
import { certificateName, foreign } from '../ui/certificate-name.js';
import { equivalents } from '../ui/copy.js';
import { confirm } from '../ui/dialog.js';
import { download } from '../ui/download.js';
import { empty, errorNotice, loading, notice } from '../ui/notice.js';
import { progress } from '../ui/progress.js';
import { table } from '../ui/table.js';
import { ago } from '../ui/time.js';

/**
 * @typedef {import('../bulk/record.js').Action} Action
 * @typedef {import('../certificates/selection.js').Chosen} Chosen
 * @typedef {import('../certificates/requests.js').Listed} Listed
 * @typedef {import('../certificates/reasons.js').Reason} Reason
 */

const words = text.bulk;

/** The certificates that the search and the preview show at first. */
const SHOWN = 10;

/** The certificates of the preview that a click shows at most. */
const SHOWN_MAX = 1_000;

/** The refused certificates that the result lists. */
const FAILED_SHOWN = 100;

/** The time between two looks at the enforcement points, in milliseconds. */
const LOOK_MS = 1_000;

/** @type {Bulk | null} */
let open = null;

/**
 * An action that was interrupted, because its page was left or the token ended. The tab keeps it.
 *
 * @type {Record | null}
 */
let unfinished = null;

/** @type {import('../page.js').Page} */
export const page = {
  title: words.title,
  needs: ['Client Certificates Read'],
  open(view) {
    if (open?.view !== view) {
      open = new Bulk(view);
    }
    open.show();
  },
  leave() {
    return open?.mayLeave ?? true;
  },
};

/** The page from entry until it is left. */
class Bulk {
  hasStatus = false;
  replacedOf = replacedIn;
  /** @type {Action} */
  #action;
  #word = 'hold';
  /** @type {Listed | null} The first matches of the search. */
  listed = null;
  /** The query that `listed` answers. @type {string | null} */
  #shown = null;
  /** The replaced certificates that match too, and are not in the list. @type {Listed | null} */
  #leftOutReplaced = null;
  /** @type {unknown} */
  #error = null;
  #request = new AbortController();
  #form;
  /** @type {{ count: number, stop: AbortController } | null} The list is being made. */
  #listing = null;
  /** @type {Chosen[] | null} The list to confirm. */
  #plan = null;
  #leftOut = 0;
  #isSelection = false;
  #areAllShown = false;
  #typed = '';
  /** @type {import('../types.js').EnforcementPoint[] | null} */
  #points = null;
  /** @type {Record | null} */
  #record = null;
  /** @type {Run | null} */
  #run = null;
  #phase = 'stopped';
  #begun = 0;
  #doneAtBegin = 0;
  #isSaved = true;
  #isDrawing = false;
  /** The epoch of the last change, for the enforcement points; 0 if it is not known yet. */
  #epoch = 0;

  /** @param {import('../page.js').View} view */
  constructor(view) {
    this.view = view;
    const { query, signal, zone } = view;
    selection.enter(zone?.id ?? null);
    const asked = query.get('action');
    this.#action = asked === 'revoke' || asked === 'restore' ? asked : usualAction(query);
    if (!this.#may(this.#action) && this.#may(opposite(this.#action))) {
      this.#action = opposite(this.#action);
    }
    this.#form = new SearchForm(this);
    signal.addEventListener('abort', () => {
      this.#request.abort();
      this.#listing?.stop.abort();
      this.#run?.stop();
    });
    if (unfinished?.head.zone_id === zone?.id && unfinished) {
      this.#use(unfinished);
    } else if (query.get('selection')) {
      this.#planSelection();
    }
  }

  /** False while leaving would stop something. */
  get mayLeave() {
    const phase = this.#run?.state.phase;
    return phase !== 'running' && phase !== 'waiting' && this.#listing === null && this.#isSaved;
  }

  get #zone() {
    return this.view.zone?.id ?? '';
  }

  /** @param {Action} action */
  #may(action) {
    const permission = {
      revoke: 'Client Certificates Revoke',
      restore: 'Client Certificates Restore',
    };
    return this.view.session.may(permission[action]);
  }

  /** Shows the search of the query, until a list is made. */
  show() {
    if (this.#plan || this.#record || this.#shown === this.view.query.toString()) {
      this.draw();
      return;
    }
    void this.#search();
  }

  // The search

  cancel() {
    this.#request.abort();
  }

  /**
   * @param {URLSearchParams} query
   * @param {AbortSignal} signal
   */
  read(query, signal) {
    const parameters = { ...requestOf(queryOf(query, this.#action)), limit: String(SHOWN) };
    return readList(this.view.api, this.#zone, parameters, { signal });
  }

  /**
   * @param {URLSearchParams} query
   * @param {Listed | null} listed
   */
  found(query, listed) {
    this.listed = listed ?? this.listed;
    this.#shown = listed ? query.toString() : this.#shown;
    this.#error = null;
    this.#leftOutReplaced = null;
    if (listed) {
      void this.#countReplaced(query);
    }
    if (query.toString() === this.view.query.toString()) {
      this.draw();
    } else {
      this.view.navigate(query, { replace: true });
    }
  }

  /**
   * Counts the replaced certificates that a revocation of the newest ones would leave to work.
   *
   * @param {URLSearchParams} query
   */
  async #countReplaced(query) {
    if (this.#action !== 'revoke' || replacedIn(query) !== 'false') {
      return;
    }
    try {
      const found = await this.read(changed(query, { replaced: 'true' }), this.#request.signal);
      if (this.#shown === query.toString()) {
        this.#leftOutReplaced = found;
        this.draw();
      }
    } catch {
      // The list itself is there.
    }
  }

  /** @param {unknown} error */
  failed(error) {
    this.#error = error;
    this.listed = null;
    this.draw();
  }

  async #search() {
    this.#request.abort();
    const { signal } = (this.#request = new AbortController());
    const query = new URLSearchParams(this.view.query);
    this.draw();
    try {
      const listed = await this.read(query, signal);
      if (!signal.aborted) {
        this.#shown = query.toString();
        this.found(query, listed);
      }
    } catch (error) {
      if (!signal.aborted) {
        this.failed(error);
      }
    }
  }

  /** @param {Action} action */
  #choose(action) {
    this.#action = action;
    this.#word = 'hold';
    this.view.navigate(changed(this.view.query, { action }), { replace: true });
    if (this.#isSelection) {
      this.#planSelection();
      this.draw();
    } else {
      void this.#search();
    }
  }

  // The list

  #planSelection() {
    this.#isSelection = true;
    const all = selection.all;
    this.#plan = all.filter(({ status }) => changes(this.#action, status)).toSorted(byName);
    this.#leftOut = all.length - this.#plan.length;
    void this.#readPoints();
  }

  #makeList = async () => {
    const { api, query, signal } = this.view;
    const stop = new AbortController();
    const listing = { count: 0, stop };
    this.#listing = listing;
    this.#error = null;
    this.draw();
    const both = AbortSignal.any([signal, stop.signal]);
    try {
      const plan = await collect(api, this.#zone, query, this.#action, both, (count) => {
        listing.count = count;
        this.draw();
      });
      this.#plan = plan;
      this.#leftOut = 0;
      void this.#readPoints();
    } catch (error) {
      this.#error = both.aborted ? null : error;
    }
    this.#listing = null;
    this.draw();
    this.#toTop();
  };

  async #readPoints() {
    const { signal } = this.view;
    try {
      this.#points = await readPoints(this.view, { signal, quiet: true });
      this.draw();
    } catch {
      // The list of points is not necessary for the action.
    }
  }

  #backToSearch = () => {
    this.#plan = null;
    this.#isSelection = false;
    this.#typed = '';
    this.#areAllShown = false;
    if (this.view.query.get('selection')) {
      this.view.navigate(changed(this.view.query, { selection: null }), { replace: true });
    } else {
      this.show();
    }
  };

  // The change

  /** @type {() => void} */
  #start = () => {
    const plan = this.#plan ?? [];
    const planned = plan.map(({ id, common_name }) => ({ id, common_name }));
    const conditions = this.#isSelection
      ? words.chosen(planned.length)
      : description(queryOf(this.view.query, this.#action));
    const reason = this.#action === 'revoke' ? reasonOf(this.#word) : null;
    this.#begin(this.#action, reason, conditions, planned);
  };

  /**
   * @param {Action} action
   * @param {string | null} reason
   * @param {string} conditions
   * @param {readonly import('../bulk/record.js').Planned[]} planned
   */
  #begin(action, reason, conditions, planned) {
    const about = {
      action,
      reason,
      server: location.origin,
      zone_id: this.#zone,
      conditions,
      created_on: new Date().toISOString(),
    };
    this.#use(new Record(about, planned));
    void this.#continue();
  }

  /** @param {Record} record */
  #use(record) {
    const { api, session } = this.view;
    this.#record = record;
    record.callers.add(session.caller?.id ?? '');
    unfinished = record;
    this.#action = record.head.action;
    this.#epoch = 0;
    this.#run = new Run(record, sender({ api, record }), (seconds) => sleep(seconds * 1000));
    this.#run.onChange = () => this.#changed();
  }

  /** Shows the progress, and tells a screen reader why nothing moves. */
  #changed() {
    const { state } = /** @type {Run} */ (this.#run);
    if (state.phase === 'waiting' && this.#phase !== 'waiting') {
      this.view.announce(state.why === 'busy' ? words.busy : words.lost);
    }
    this.#phase = state.phase;
    this.#drawSoon();
  }

  #continue = async () => {
    const run = /** @type {Run} */ (this.#run);
    const record = /** @type {Record} */ (this.#record);
    this.#begun = performance.now();
    this.#doneAtBegin = record.planned.length - record.counts.left;
    this.#isSaved = false;
    this.#toTop();
    try {
      await run.start();
    } catch (error) {
      run.stop();
      if (this.view.signal.aborted) {
        return;
      }
      this.#error = error;
    }
    const { changed: number, left } = record.counts;
    this.#isSaved = left === 0;
    if (left === 0 && unfinished === record) {
      unfinished = null;
    }
    this.view.announce(words.finished(this.#action, number));
    selection.clear();
    this.view.live.expect();
    this.draw();
    if (document.activeElement === document.body) {
      // The button to stop, which had the focus, is not there any more.
      document.getElementById('heading')?.focus({ preventScroll: true });
    }
    await this.#followPoints();
  };

  /** Looks at the enforcement points until each has the last change, or does not answer. */
  async #followPoints() {
    const { api, signal } = this.view;
    const record = /** @type {Record} */ (this.#record);
    const last = record.changed().at(-1);
    if (!last) {
      return;
    }
    try {
      const options = { signal, quiet: true };
      const { result } = await api.get(historyPath(this.#zone, last.id), {}, options);
      this.#epoch = lastChange(result)?.epoch ?? 0;
      while (this.#record === record) {
        this.#points = await readPoints(this.view, options);
        this.draw();
        const isLate = this.#points?.some(
          (point) => point.status !== 'silent' && point.acknowledged_epoch < this.#epoch,
        );
        if (!isLate) {
          return;
        }
        await sleep(LOOK_MS, signal);
      }
    } catch {
      // The action itself is done.
    }
  }

  #undo = async () => {
    const { api, signal } = this.view;
    const record = /** @type {Record} */ (this.#record);
    for (const { id } of record.doubtful()) {
      if (await isRevokedBy(api, record, id, { signal })) {
        record.finish(id, { kind: 'changed' });
      }
    }
    const planned = record.changed();
    const isSure = await confirm({
      title: words.undoTitle,
      body: words.undoBody(this.#action, planned.length),
      action: words.undoAction,
      signal,
    });
    if (isSure) {
      const action = opposite(this.#action);
      const reason = action === 'revoke' ? 'certificateHold' : null;
      this.#begin(action, reason, `undo: ${record.head.conditions}`, planned);
    }
  };

  #another = () => {
    this.#record = null;
    unfinished = null;
    this.#run = null;
    this.#plan = null;
    this.#isSelection = false;
    this.#typed = '';
    this.#error = null;
    this.#isSaved = true;
    this.#shown = null;
    if (this.view.query.get('selection')) {
      this.view.navigate(changed(this.view.query, { selection: null }), { replace: true });
    } else {
      this.show();
    }
  };

  #save = () => {
    const record = /** @type {Record} */ (this.#record);
    const phase = this.#run?.state.phase;
    const isRunning = phase === 'running' || phase === 'waiting';
    const time = record.head.created_on.replace(/[-:]|\.\d+/g, '');
    const name = `certgate-${record.head.action}-${time}.jsonl`;
    download(name, 'application/jsonl', [...record.lines(isRunning)]);
    this.#isSaved = true;
    this.draw();
  };

  /** @param {Event} event */
  #openFile = async (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    const [file] = input.files ?? [];
    if (!file) {
      return;
    }
    this.#error = null;
    try {
      if (file.size > FILE_OCTETS_MAX) {
        throw new Error(words.tooLarge);
      }
      const record = Record.read(await file.text());
      if (record.head.zone_id !== this.#zone || record.head.server !== location.origin) {
        throw new Error(words.otherServer(record.head.server));
      }
      this.#use(record);
    } catch (error) {
      this.#error = error instanceof RecordError ? new Error(words.notARecord(error.line)) : error;
    }
    input.value = '';
    this.draw();
  };

  #toTop() {
    scrollTo(0, 0);
    document.getElementById('heading')?.focus({ preventScroll: true });
  }

  // The page

  /** Draws once for the many changes between two frames. */
  #drawSoon() {
    if (!this.#isDrawing) {
      this.#isDrawing = true;
      setTimeout(() => {
        this.#isDrawing = false;
        this.draw();
      }, 100);
    }
  }

  draw() {
    const error =
      this.#error instanceof ChangingError
        ? notice('error', text.certificates.changing)
        : this.#error && errorNotice(this.#error);
    this.view.render(html`
      ${this.#stepList()} ${error || nothing}
      ${this.#step()}
    `);
  }

  #step() {
    if (this.#record) {
      return this.#progressStep(this.#record);
    }
    return this.#plan ? this.#previewStep(this.#plan) : this.#searchStep();
  }

  /** Every certificate has an outcome, also in a record that was opened. */
  get #isDone() {
    const phase = this.#run?.state.phase;
    const isIdle = phase === 'done' || phase === 'stopped';
    return isIdle && this.#record?.counts.left === 0;
  }

  #stepList() {
    const isDone = this.#isDone;
    const present = this.#record ? (isDone ? 3 : 2) : this.#plan ? 1 : 0;
    return html`<ol class="stages">
      ${words.steps.map(
        (step, index) =>
          html`<li
            class=${index < present ? 'past' : ''}
            aria-current=${index === present ? 'step' : nothing}
          >
            ${step}
          </li>`,
      )}
    </ol>`;
  }

  #actionFields() {
    /** @type {Action[]} */
    const actions = ['revoke', 'restore'];
    return html`<fieldset class="inline-choice">
      <legend>${words.action}</legend>
      ${actions.map(
        (action) =>
          html`<label>
            <input
              type="radio"
              name="action"
              .checked=${action === this.#action}
              ?disabled=${!this.#may(action)}
              @change=${() => this.#choose(action)}
            />
            ${words.actions[action]}
          </label>`,
      )}
      ${
        actions.every((action) => this.#may(action))
          ? nothing
          : html`<span class="hint">${text.certificates.mayNotChange}</span>`
      }
    </fieldset>`;
  }

  #searchStep() {
    return html`
      <p>${words.intro}</p>
      ${this.#actionFields()} ${this.#form.bar()} ${this.#form.filters()} ${this.#form.chips()}
      ${this.#form.notice()} ${this.#matches()}
      <details class="panel">
        <summary>${words.open}</summary>
        <p class="hint">${words.openHint}</p>
        <input type="file" aria-label=${words.open} accept=".jsonl" @change=${this.#openFile} />
      </details>
    `;
  }

  #matches() {
    if (this.#listing) {
      const { count: number, stop } = this.#listing;
      return html`<div class="panel" role="status">
        <p>${words.listing}… ${words.listed(number)}</p>
        <button @click=${() => stop.abort()}>${text.common.cancel}</button>
      </div>`;
    }
    if (!this.listed) {
      return this.#error ? nothing : loading();
    }
    const { info, isCapped, items } = this.listed;
    if (items.length === 0) {
      return html`${this.#replacedNotice()} ${empty(words.noMatch)}`;
    }
    const isCounted = info.continue === undefined;
    return html`
      <p role="status">
        <strong>${isCounted ? words.matches(info.total_count, isCapped) : words.someMatch}</strong>
      </p>
      ${this.#replacedNotice()} ${this.#rows(items, text.certificates.title)}
      <div class="actions">
        <button class="primary" ?disabled=${!this.#may(this.#action)} @click=${this.#makeList}>
          ${words.preview}
        </button>
      </div>
    `;
  }

  #replacedNotice() {
    const number = this.#leftOutReplaced?.info.total_count ?? 0;
    const include = () => this.view.navigate(changed(this.view.query, { replaced: 'all' }));
    return number === 0
      ? nothing
      : notice(
          'warning',
          words.replacedLeftOut(number, this.#leftOutReplaced?.isCapped ?? false),
          html`<button @click=${include}>${words.includeReplaced}</button>`,
        );
  }

  /**
   * @param {readonly Chosen[]} rows
   * @param {string} caption
   */
  #rows(rows, caption) {
    return table({
      caption,
      columns: [
        {
          title: text.certificates.name,
          isHeader: true,
          cell: (row) => certificateName(row, `#/certificates/${row.id}`),
        },
        { title: text.certificates.status, cell: standingBadges, className: 'tight' },
        { title: text.certificates.expires, cell: ({ expires_on: time }) => ago(time) },
        { title: text.certificate.id, cell: ({ id }) => html`<code>${id.slice(0, 16)}</code>` },
      ],
      rows,
      key: ({ id }) => id,
    });
  }

  /** @param {readonly Chosen[]} plan */
  #previewStep(plan) {
    const number = plan.length;
    const isRevocation = this.#action === 'revoke';
    if (number === 0) {
      const isGone = this.#isSelection && this.#leftOut === 0;
      return html`${this.#isSelection ? this.#actionFields() : nothing}
      ${empty(
        isGone ? words.selectionGone : words.noMatch,
        html`${this.#leftOut > 0 ? html`<p>${words.leftOut(this.#leftOut)}</p>` : nothing}
          <a class="button" href="#/certificates">${words.toList}</a>
          <button @click=${this.#backToSearch}>${words.back}</button>`,
      )}`;
    }
    const shown = plan.slice(0, this.#areAllShown ? SHOWN_MAX : SHOWN);
    const showAll = () => {
      this.#areAllShown = true;
      this.draw();
    };
    const conditions = this.#isSelection
      ? words.chosen(number)
      : description(queryOf(this.view.query, this.#action));
    return html`
      ${this.#isSelection ? this.#actionFields() : nothing}
      <h2>${words.previewTitle(this.#action, number)}</h2>
      ${this.#leftOut > 0 ? notice('info', words.leftOut(this.#leftOut)) : nothing}
      <p class="hint">${words.conditions}: ${foreign(conditions, 200)}</p>
      ${this.#rows(shown, words.first)}
      ${
        shown.length < number
          ? html`<p>
            ${words.more(number - shown.length)}
            ${
              this.#areAllShown
                ? nothing
                : html`<button class="quiet" @click=${showAll}>${words.showAll}</button>`
            }
          </p>`
          : nothing
      }
      ${this.#pointsPreview()}
      ${isRevocation ? reasonFields(this.#word, this.#setWord) : nothing}
      ${
        isRevocation
          ? consequence(reasonOf(this.#word))
          : html`<p class="consequence">${words.restoreBefore} ${words.finalRestore}</p>`
      }
      ${this.#commands(plan)} ${this.#confirmForm(number)}
    `;
  }

  /** @param {string} word */
  #setWord = (word) => {
    this.#word = word;
    this.draw();
  };

  #pointsPreview() {
    const points = this.#points;
    if (points === null) {
      return this.view.session.may('Enforcement Points Read')
        ? nothing
        : html`<p class="hint">${text.certificate.pointsHidden}</p>`;
    }
    if (points.length === 0) {
      return html`<p class="hint">${text.certificate.noPoints}</p>`;
    }
    return html`<h3>${words.points}</h3>
      <ul class="bulleted">
        ${points.map(
          ({ name, covers }) =>
            html`<li>
              ${foreign(name, 60)}: ${covers.map(text.certificate.coverage).join(', ')}
            </li>`,
        )}
      </ul>`;
  }

  /** @param {readonly Chosen[]} plan */
  #commands(plan) {
    const { api, query } = this.view;
    const [first] = plan;
    const isRevocation = this.#action === 'revoke';
    const reason = reasonOf(this.#word);
    const body = isRevocation ? bodyOf(reason) : { reactivate: true };
    const curl = api.curl(
      isRevocation ? 'DELETE' : 'PATCH',
      pathOf(this.#zone, first?.id ?? ''),
      body,
    );
    const flags = isRevocation && isFinal(reason) ? ['--reason', kebab(reason)] : [];
    const line = this.#isSelection
      ? ['certgate', 'cert', this.#action, ...plan.map(({ id }) => id), ...flags, '--wait']
      : commandOf(query, this.#action, flags);
    return html`${equivalents(words.commands, curl, line ? commandLine(...line) : undefined)}`;
  }

  /** @param {number} number */
  #confirmForm(number) {
    const isRight = this.#typed.replace(/[\s,.'’]/g, '') === String(number);
    const type = (/** @type {Event} */ event) => {
      this.#typed = /** @type {HTMLInputElement} */ (event.target).value;
      this.draw();
    };
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      if (isRight) {
        this.#start();
      }
    };
    return html`<form class="panel confirm" @submit=${submit}>
      <label class="field">
        ${words.confirm(number, this.#action)}
        <input
          id="number"
          type="text"
          inputmode="numeric"
          autocomplete="off"
          .value=${this.#typed}
          aria-describedby="number-hint"
          @input=${type}
        />
      </label>
      <p class="hint" id="number-hint">
        ${this.#typed && !isRight ? words.wrongNumber : ''}
      </p>
      <div class="actions">
        <button type="button" @click=${this.#backToSearch}>${words.back}</button>
        <button class=${this.#action === 'revoke' ? 'danger' : 'primary'} ?disabled=${!isRight}>
          ${words.start(this.#action, number)}
        </button>
      </div>
    </form>`;
  }

  /** @param {Record} record */
  #progressStep(record) {
    const run = /** @type {Run} */ (this.#run);
    const { state } = run;
    const { counts } = record;
    const all = record.planned.length;
    const action = record.head.action;
    const isRunning = state.phase === 'running' || state.phase === 'waiting';
    return html`
      <p class="hint">${words.conditions}: ${foreign(record.head.conditions, 200)}</p>
      ${this.#stateNotice(record)}
      <div class="panel">
        ${progress({ label: words.running[action], done: all - counts.left, all })}
        ${state.phase === 'running'
          ? html`<p class="hint">${this.#remaining(all - counts.left, all)}</p>`
          : nothing}
        <dl class="facts counts">
          <dt>${words.done[action]}</dt>
          <dd>${count(counts.changed)}</dd>
          ${
            counts.unchanged > 0
              ? html`<dt>${words.unchanged[action]}</dt><dd>${count(counts.unchanged)}</dd>`
              : nothing
          }
          ${
            counts.failed > 0
              ? html`<dt>${words.failed}</dt><dd>${count(counts.failed)}</dd>`
              : nothing
          }
          <dt>${words.left}</dt>
          <dd>${count(counts.left)}</dd>
        </dl>
        <div class="actions">
          ${
            isRunning
              ? html`<button @click=${() => run.stop()}>${words.stop}</button>
                <button class="quiet" @click=${this.#save}>${words.save}</button>`
              : this.#afterwards(record)
          }
        </div>
        <p class="hint">${isRunning ? words.leave : words.saveHint}</p>
      </div>
      ${counts.failed > 0 ? this.#failed(record) : nothing}
      ${
        this.#epoch > 0
          ? html`<section class="panel" aria-labelledby="points">
            <h2 id="points">
              ${words.where[action]}
            </h2>
            ${pointProgress({
              points: this.#points,
              epoch: this.#epoch,
              isRevocation: action === 'revoke',
            })}
          </section>`
          : nothing
      }
    `;
  }

  /** @param {Record} record */
  #afterwards(record) {
    const { counts, head } = record;
    const isFinalReason = head.reason !== null && isFinal(head.reason);
    const canUndo = counts.changed > 0 || record.doubtful().length > 0;
    const mayUndo = this.#may(opposite(head.action));
    return html`
      ${
        counts.left > 0
          ? html`<button class="primary" @click=${this.#continue}>${words.resume}</button>`
          : nothing
      }
      ${
        counts.left === 0 && counts.failed > 0
          ? html`<button @click=${this.#continue}>${words.retry}</button>`
          : nothing
      }
      ${
        canUndo && mayUndo && !isFinalReason
          ? html`<button @click=${this.#undo}>${words.undo(counts.changed)}</button>`
          : nothing
      }
      <button @click=${this.#save}>${words.save}</button>
      <button class="quiet" @click=${this.#another}>${words.again}</button>
      ${isFinalReason ? html`<span class="hint">${words.undoFinal}</span>` : nothing}
    `;
  }

  /** @param {Record} record */
  #stateNotice(record) {
    const { state } = /** @type {Run} */ (this.#run);
    if (this.#isDone) {
      return notice(
        record.counts.failed > 0 ? 'warning' : 'success',
        words.finished(record.head.action, record.counts.changed),
      );
    }
    switch (state.phase) {
      case 'waiting':
        return notice('warning', state.why === 'busy' ? words.busy : words.lost);
      case 'stopped':
        return state.problem === null
          ? notice('info', words.unfinished)
          : notice('error', state.problem);
      default:
        return nothing;
    }
  }

  /**
   * @param {number} done
   * @param {number} all
   */
  #remaining(done, all) {
    const seconds = (performance.now() - this.#begun) / 1000;
    const rate = (done - this.#doneAtBegin) / seconds;
    return seconds > 2 && rate > 0 ? words.remaining((all - done) / rate) : nothing;
  }

  /** @param {Record} record */
  #failed(record) {
    const failed = record.failed();
    return html`<section class="panel" aria-labelledby="problems">
      <h2 id="problems">${words.problems}</h2>
      ${table({
        caption: words.problems,
        columns: [
          {
            title: text.certificates.name,
            isHeader: true,
            cell: (row) => certificateName(row, `#/certificates/${row.id}`),
          },
          { title: words.problem, cell: ({ problem }) => foreign(problem, 300) },
        ],
        rows: failed.slice(0, FAILED_SHOWN),
        key: ({ id }) => id,
      })}
      ${
        failed.length > FAILED_SHOWN
          ? html`<p>${words.more(failed.length - FAILED_SHOWN)}</p>`
          : nothing
      }
    </section>`;
  }
}
