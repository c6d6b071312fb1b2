/** Notifications: the state of the webhook and of e-mail, and the events that were set aside. */

import { html, nothing } from '../../vendor/lit-html.js';
import { lookAgain } from '../looks.js';
import { oneAtATime } from '../one-at-a-time.js';
import { commandLine } from '../shell-words.js';
import { text } from '../text.js';
import { foreign } from '../ui/certificate-name.js';
import { command, equivalents } from '../ui/copy.js';
import { formDialog } from '../ui/form-dialog.js';
import { badge, empty, errorNotice, loading, notice } from '../ui/notice.js';
import { pager } from '../ui/pager.js';
import { table } from '../ui/table.js';
import { ago, when } from '../ui/time.js';

const t = text.notifications;

const PATH = '/certgate/v1/notifications';
const CHANGE = 'User Details Write';

/** The undelivered events of a page; the server returns at most 50. */
const EVENTS_PER_PAGE = 50;

/**
 * @typedef {object} Destination
 * @property {string} name
 * @property {string} address
 * @property {string[]} events
 * @property {number} delivered
 * @property {string | null} delivered_on
 * @property {number} backlog
 * @property {string | null} oldest_event_on
 * @property {string | null} failing_since
 * @property {string | null} next_attempt_on
 * @property {string | null} error
 *
 * @typedef {object} Undelivered
 * @property {string} destination
 * @property {string} event_id
 * @property {string} type
 * @property {string} object_id
 * @property {string} timestamp
 * @property {string} set_aside_on
 * @property {string} error
 * @property {boolean} is_retried
 *
 * @typedef {object} Tested
 * @property {string} destination
 * @property {boolean} delivered
 * @property {number} milliseconds
 * @property {string | null} error
 *
 * @typedef {object} Shown
 * @property {Destination[]} destinations
 * @property {Undelivered[]} undelivered
 * @property {import('../types.js').ResultInfo} info
 *
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {Shown | null} shown
 * @property {Tested[]} tested
 * @property {unknown} error
 * @property {string} done
 */

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: ['User Details Read'],
  open(view) {
    /** @type {State} */
    const state = { view, shown: null, tested: [], error: null, done: '' };
    const reload = oneAtATime(() => load(state));
    view.live.subscribe('refresh', () => void reload(), view.signal);
    draw(state);
    void reload();
    // The stream has no line when an event is delivered.
    lookAgain(reload, view.signal);
  },
};

/** @param {State} state */
async function load(state) {
  const { api, query, signal } = state.view;
  const wanted = { page: query.get('page') ?? 1, per_page: EVENTS_PER_PAGE };
  try {
    const [{ result: destinations }, { result: undelivered, result_info: info }] =
      await Promise.all([
        api.get(PATH, {}, { signal, quiet: true }),
        api.get(`${PATH}/undelivered`, wanted, { signal, quiet: true }),
      ]);
    state.shown = { destinations, undelivered, info };
    state.error = null;
  } catch (error) {
    if (signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/** @param {State} state */
function draw(state) {
  const { view, shown, error, done, tested } = state;
  view.render(html`
    ${done ? notice('success', done) : nothing} ${tested.map(outcome)}
    ${error === null ? nothing : errorNotice(error)}
    <p>${t.intro}</p>
    ${shown === null && error === null ? loading() : nothing}
    ${shown === null ? nothing : html`${buttons(state, shown)} ${lists(state, shown)}`}
  `);
}

/** @param {Tested} tested */
function outcome({ destination, delivered, milliseconds, error }) {
  const name = t.names[destination] ?? destination;
  if (delivered) return notice('success', t.testDelivered(name, milliseconds));
  return notice('error', html`${t.testFailed(name)} ${foreign(error ?? '')}`);
}

/**
 * @param {State} state
 * @param {Shown} shown
 */
function buttons(state, { destinations, undelivered }) {
  if (destinations.length === 0) return nothing;
  if (!state.view.session.may(CHANGE)) return html`<p class="hint">${t.lacks(CHANGE)}</p>`;
  return html`<div class="bar">
    <button @click=${() => test(state)}>${t.test}</button>
    ${
      undelivered.length === 0
        ? nothing
        : html`<button @click=${() => retry(state)}>${t.retry}</button>`
    }
  </div>`;
}

/**
 * @param {State} state
 * @param {Shown} shown
 */
function lists({ view }, { destinations, undelivered, info }) {
  return html`
    <section aria-labelledby="destinations">
      <h2 id="destinations">${t.destinations}</h2>
      ${table({
        caption: t.destinations,
        columns: DESTINATION_COLUMNS,
        rows: destinations,
        key: ({ name }) => name,
        empty: empty(
          t.none,
          html`<p>${t.noneHow}</p>
            ${command(t.noneCommand, t.noneExample)}`,
        ),
      })}
    </section>
    <section aria-labelledby="undelivered">
      <h2 id="undelivered">${t.undelivered}</h2>
      ${table({
        caption: t.undelivered,
        columns: UNDELIVERED_COLUMNS,
        rows: undelivered,
        key: ({ destination, event_id: id }) => `${destination} ${id}`,
        empty: empty(t.noUndelivered),
        page: String(info.page),
      })}
      ${
        info.total_pages > 1
          ? pager({
              info,
              go: (to) => view.navigate(new URLSearchParams({ page: String(to) })),
            })
          : nothing
      }
      ${equivalents(
        t.sameList,
        view.api.curl('GET', PATH),
        commandLine('certgate', 'notifications'),
      )}
    </section>
  `;
}

/** @type {import('../ui/table.js').Column<Destination>[]} */
const DESTINATION_COLUMNS = [
  {
    title: t.destination,
    isHeader: true,
    cell: ({ name, address }) =>
      html`<div>
        ${t.names[name] ?? name}
        <div class="hint">${foreign(address)}</div>
      </div>`,
  },
  {
    title: t.state,
    cell: ({ failing_since: since, next_attempt_on: next, error }) =>
      since === null
        ? badge('good', t.delivers)
        : html`<div>
            ${badge('bad', t.fails)} ${ago(since)}
            <div class="hint">${foreign(error ?? '')}</div>
            ${next === null ? nothing : html`<div class="hint">${t.next} ${ago(next)}</div>`}
          </div>`,
  },
  {
    title: t.waiting,
    cell: ({ backlog, oldest_event_on: oldest }) =>
      html`<div>
        ${t.entries(backlog)}
        ${oldest === null ? nothing : html`<div class="hint">${t.oldest} ${ago(oldest)}</div>`}
      </div>`,
  },
  {
    title: t.delivered,
    cell: ({ delivered, delivered_on: last }) =>
      html`<div>
        ${t.events(delivered)}
        ${last === null ? nothing : html`<div class="hint">${t.last} ${ago(last)}</div>`}
      </div>`,
  },
  { title: t.types, cell: ({ events }) => events.join(', ') },
];

/** @type {import('../ui/table.js').Column<Undelivered>[]} */
const UNDELIVERED_COLUMNS = [
  { title: t.type, isHeader: true, cell: ({ type }) => type },
  { title: t.object, className: 'mono', cell: ({ object_id: id }) => id },
  { title: t.destination, cell: ({ destination: name }) => t.names[name] ?? name },
  { title: t.time, cell: ({ timestamp }) => when(timestamp) },
  { title: t.setAside, cell: ({ set_aside_on: time }) => ago(time) },
  {
    title: t.reason,
    cell: ({ error, is_retried: isRetried }) =>
      html`<div>${foreign(error)} ${isRetried ? badge('waiting', t.isRetried) : nothing}</div>`,
  },
];

/**
 * Asks, then sends a request of one of the buttons.
 * @template T
 * @param {State} state
 * @param {{ title: string, hint: string, action: string, path: string, words: string[] }} request
 * @returns {Promise<T | null>}
 */
function ask({ view }, { title, hint, action, path, words }) {
  return formDialog(
    {
      title,
      values: {},
      action,
      body: () =>
        html`<p>${hint}</p>
          ${equivalents(t.same, view.api.curl('POST', path), commandLine('certgate', ...words))}`,
      submit: async () => (await view.api.post(path)).result,
    },
    view.signal,
  );
}

/** @param {State} state */
async function test(state) {
  /** @type {Tested[] | null} */
  const tested = await ask(state, {
    title: t.testTitle,
    hint: t.testHint,
    action: t.testAction,
    path: `${PATH}/test`,
    words: ['notifications', 'test'],
  });
  if (tested === null) return;
  state.tested = tested;
  state.done = '';
  state.view.announce(t.testDone);
  scrollTo(0, 0);
  await load(state);
}

/** @param {State} state */
async function retry(state) {
  /** @type {{ events: number } | null} */
  const retried = await ask(state, {
    title: t.retryTitle,
    hint: t.retryHint,
    action: t.retryAction,
    path: `${PATH}/retry`,
    words: ['notifications', 'retry'],
  });
  if (retried === null) return;
  state.tested = [];
  state.done = t.retried(retried.events);
  state.view.announce(state.done);
  scrollTo(0, 0);
  await load(state);
}
