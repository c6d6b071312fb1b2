/** Page 1: is everything in order? */

import { html, nothing } from '../../vendor/lit-html.js';
import { activityChart, expiryCalendar } from '../overview-charts.js';
import { operationsOf, warnings } from '../overview-warnings.js';
import { count, text } from '../text.js';
import { foreign } from '../ui/certificate-name.js';
import { command } from '../ui/copy.js';
import { badge, empty, errorNotice, loading, notice } from '../ui/notice.js';
import { table } from '../ui/table.js';
import { ago, when } from '../ui/time.js';

const STATUSES = /** @type {const} */ ([
  'active',
  'pending_revocation',
  'revoked',
  'pending_reactivation',
]);

const READ_ACCOUNT = 'Account Settings Read';
const READ_POINTS = 'Enforcement Points Read';

/** The age at which the metrics are read again, in milliseconds. */
const METRICS_AGE_MS = 60_000;

/** The enforcement points and CAs that the page shows. Their own pages show all. */
const ROWS_MAX = 8;

/**
 * @typedef {object} Authority
 * @property {string} id
 * @property {string} name
 * @property {string} state
 * @property {string} expires_on
 * @property {Crls | null} crls
 *
 * @typedef {object} Crls
 * @property {string | null} this_update
 * @property {string | null} next_update
 *
 * @typedef {object} AuthorityTotals
 * @property {string} id
 * @property {string} name
 * @property {import('../types.js').Totals} totals
 *
 * @typedef {object} Summary
 * @property {import('../types.js').Totals} totals
 * @property {import('../types.js').Totals | null} replaced Of these. Null: not all counted yet.
 * @property {AuthorityTotals[]} certificate_authorities
 * @property {import('../types.js').DayCount[]} expiring Without replaced ones.
 * @property {import('../types.js').DayCount[]} issued
 * @property {import('../types.js').DayCount[]} revoked
 * @property {number} uncounted
 *
 * @typedef {object} State
 * @property {Summary | null} summary
 * @property {Authority[] | null} authorities
 * @property {import('../types.js').EnforcementPoint[] | null} points
 * @property {import('../overview-warnings.js').Operations | null} operations
 * @property {number} operationsRead `Date.now()` of the last reading of the metrics.
 * @property {boolean} isPending True if a change had not settled at the last reading.
 * @property {unknown} error
 */

/** @type {import('../page.js').Page} */
export const page = {
  title: text.overview.title,
  needs: ['Client Certificates Read'],
  open(view) {
    /** @type {State} */
    const state = {
      summary: null,
      authorities: null,
      points: null,
      operations: null,
      operationsRead: 0,
      isPending: false,
      error: null,
    };
    view.render(loading());
    const read = reader(view, state);
    void read();
    view.live.subscribe('refresh', () => void read(), view.signal);
  },
};

/**
 * Returns a function that reads everything and draws the page. Calls during a reading make one more
 * reading after it.
 * @param {import('../page.js').View} view
 * @param {State} state
 */
function reader(view, state) {
  let isReading = false;
  let isStale = false;
  return async function read() {
    isStale = true;
    if (isReading) return;
    isReading = true;
    while (isStale && !view.signal.aborted) {
      isStale = false;
      try {
        await readAll(view, state);
        state.error = null;
      } catch (error) {
        if (view.signal.aborted) return;
        state.error = error;
      }
      view.render(template(view, state));
    }
    isReading = false;
  };
}

/**
 * @param {import('../page.js').View} view
 * @param {State} state
 */
async function readAll(view, state) {
  const { api, live, session, signal, zone, account } = view;
  const options = { signal };
  const ofAccount = `/certgate/v1/accounts/${account}`;
  const [summary, authorities, points] = await Promise.all([
    api.get(`/certgate/v1/zones/${zone?.id}/summary`, {}, options),
    account !== null && session.may(READ_ACCOUNT)
      ? readAuthorities(api, ofAccount, options)
      : null,
    account !== null && session.may(READ_POINTS)
      ? api.get(`${ofAccount}/enforcement_points`, {}, options)
      : null,
  ]);
  if (Date.now() - state.operationsRead > METRICS_AGE_MS) {
    state.operations = operationsOf(await api.text('/metrics', options));
    state.operationsRead = Date.now();
  }
  state.summary = summary.result;
  state.authorities = authorities;
  state.points = points?.result ?? null;
  const { pending_revocation: revoking, pending_reactivation: restoring } = summary.result.totals;
  const isPending = revoking + restoring > 0;
  // The stream has no line about the end of a change.
  if (isPending && !state.isPending) live.expect();
  if (!isPending && state.isPending) live.settled();
  state.isPending = isPending;
}

/**
 * @param {import('../api.js').Api} api
 * @param {string} ofAccount
 * @param {import('../api.js').Options} options
 */
async function readAuthorities(api, ofAccount, options) {
  const { result } = await api.get(`${ofAccount}/managed_authorities`, {}, options);
  /** @type {Authority[]} */
  const all = result;
  return Promise.all(
    all.map(async (authority, index) => {
      if (index >= ROWS_MAX) return { ...authority, crls: null };
      const path = `${ofAccount}/managed_authorities/${authority.id}/crls`;
      return { ...authority, crls: (await api.get(path, {}, options)).result };
    }),
  );
}

/**
 * @param {import('../page.js').View} view
 * @param {State} state
 */
function template(view, state) {
  const { summary } = state;
  const now = new Date();
  if (!summary) return state.error ? errorNotice(state.error) : loading();
  const total = STATUSES.reduce((sum, status) => sum + summary.totals[status], 0);
  return html`
    ${state.error ? errorNotice(state.error) : nothing} ${attention(view, state, now)}
    <section aria-labelledby="totals-title">
      <h2 id="totals-title" class="unseen">${text.overview.totals}</h2>
      ${totals(summary)}
    </section>
    ${total === 0
      ? empty(
          text.overview.none,
          html`<p><a class="button primary" href="#/issue">${text.overview.issue}</a></p>
            <p>${text.overview.noneHow}</p>
            ${command(text.overview.command, 'certgate cert issue --cn device-1')}`,
        )
      : html`<div class="grid charts">
          ${expiryCalendar(summary.expiring, now)}
          ${activityChart(summary.issued, summary.revoked, now)}
        </div>`}
    <div class="grid">${authoritiesPanel(state)} ${pointsPanel(state)}</div>
  `;
}

/**
 * The certificates by status, without replaced ones if the server has counted those.
 * @param {Summary} summary
 */
function totals({ totals: all, replaced }) {
  const place = replaced === null ? '&replaced=all' : '';
  const left = STATUSES.reduce((sum, status) => sum + (replaced?.[status] ?? 0), 0);
  return html`<div class="totals">
      ${STATUSES.map(
        (status) => html`<a href=${`#/certificates?status=${status}${place}`}>
          ${text.common.status[status]}
          <strong>${count(all[status] - (replaced?.[status] ?? 0))}</strong>
        </a>`,
      )}
    </div>
    ${
      left === 0
        ? nothing
        : html`<p class="hint">
            <a href="#/certificates?status=all&replaced=true">${text.overview.replaced(left)}</a>
          </p>`
    }`;
}

/**
 * @param {import('../page.js').View} view
 * @param {State} state
 * @param {Date} now
 */
function attention({ session }, state, now) {
  const found = warnings(state, session.caller, now);
  return html`<section aria-labelledby="attention-title">
    <h2 id="attention-title" class=${found.length === 0 ? 'unseen' : ''}>
      ${text.overview.attention}
    </h2>
    ${found.length === 0
      ? notice('success', text.overview.good)
      : html`<div class="notices">
          ${found.map(({ kind, body, remedy }) => notice(kind, html`<p>${body}</p>`, remedy))}
        </div>`}
  </section>`;
}

/** @param {State} state */
function authoritiesPanel({ authorities: all, summary }) {
  const totals = new Map(summary?.certificate_authorities.map((ca) => [ca.id, ca.totals]));
  return html`<section class="panel" aria-labelledby="authorities-title">
    <h2 id="authorities-title">${text.overview.authorities}</h2>
    ${all === null
      ? html`<p class="hint">${text.overview.hidden(READ_ACCOUNT)}</p>`
      : table({
          caption: text.overview.authorities,
          key: (ca) => ca.id,
          rows: all.slice(0, ROWS_MAX),
          empty: empty(text.overview.authorityNone),
          columns: [
            {
              title: text.overview.authority,
              isHeader: true,
              cell: (ca) => foreign(ca.name),
            },
            { title: text.overview.state, cell: (ca) => authorityState(ca.state) },
            {
              title: text.overview.certificates,
              isNumber: true,
              cell: (ca) => count(totals.get(ca.id)?.active ?? 0),
            },
            { title: text.overview.expires, cell: (ca) => when(ca.expires_on, 'day') },
            { title: text.overview.crl, cell: crl },
          ],
        })}
    ${all && all.length > ROWS_MAX
      ? html`<p><a href="#/cas">${text.overview.all}</a></p>`
      : nothing}
  </section>`;
}

/** @param {string} state */
function authorityState(state) {
  const word = text.overview.states[state] ?? state;
  return badge(state === 'active' ? 'good' : state === 'retired' ? 'bad' : 'quiet', word);
}

/** @param {Authority} authority */
function crl({ crls, expires_on: expires }) {
  if (new Date(expires) < new Date()) return text.overview.crlEnded;
  if (!crls?.this_update) return text.overview.crlNone;
  return ago(crls.this_update);
}

/** @param {State} state */
function pointsPanel({ points: all }) {
  return html`<section class="panel" aria-labelledby="points-title">
    <h2 id="points-title">${text.overview.points}</h2>
    ${all === null
      ? html`<p class="hint">${text.overview.hidden(READ_POINTS)}</p>`
      : table({
          caption: text.overview.points,
          key: (point) => point.id,
          rows: all.slice(0, ROWS_MAX),
          empty: empty(
            text.overview.pointsNone,
            html`<p>${text.overview.pointsNoneHow}</p>
              ${command(text.overview.command, 'certgate gateway --config gateway.toml')}`,
          ),
          columns: [
            { title: text.overview.point, isHeader: true, cell: (point) => foreign(point.name) },
            { title: text.overview.pointState, cell: (point) => pointState(point.status) },
            {
              title: text.overview.lag,
              isNumber: true,
              cell: ({ last_epoch: last, acknowledged_epoch: known }) =>
                known >= last ? text.overview.lagNone : text.overview.lagBy(last - known),
            },
            { title: text.overview.seen, cell: (point) => ago(point.seen_on) },
          ],
        })}
    ${all && all.length > ROWS_MAX
      ? html`<p><a href="#/enforcement-points">${text.overview.all}</a></p>`
      : nothing}
  </section>`;
}

/** @param {import('../types.js').EnforcementPoint['status']} status */
function pointState(status) {
  const kind = /** @type {const} */ ({ current: 'good', lagging: 'waiting', silent: 'bad' });
  return badge(kind[status], text.overview.pointStates[status] ?? status);
}
