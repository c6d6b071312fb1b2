/** What needs attention, in words, each with the command or link that fixes it. */

import { html, nothing } from '../vendor/lit-html.js';
import { text } from './text.js';
import { visible } from './ui/certificate-name.js';
import { command } from './ui/copy.js';
import { distance } from './ui/time.js';

const DAY_MS = 86_400_000;

/** The time before the end of an active CA at which a user must prepare the next one, in days. */
const CA_ENDS_DAYS = 30;

/**
 * The time before the end of a CRL at which something is wrong, in days: each is valid for seven
 * days, and renewed three days before its end.
 */
const CRL_ENDS_DAYS = 2;

/** The time before the end of the token of this session, in days. */
const TOKEN_ENDS_DAYS = 14;

/** The time in which an expiry needs attention, in days. */
const EXPIRING_DAYS = 30;

/** The ages of the last backup and the last check from which on they are too old, in days. */
const BACKUP_AGE_DAYS = 7;
const CHECK_AGE_DAYS = 35;

/** The enforcement points that a sentence names at most. */
const NAMED_MAX = 5;

/**
 * @typedef {object} Warning
 * @property {'error' | 'warning' | 'info'} kind
 * @property {unknown} body
 * @property {unknown} remedy
 *
 * @typedef {object} Operations The state of the installation, as its metrics have it.
 * @property {number | null} backup Seconds since 1970; 0: never. `null`: not known here.
 * @property {number | null} check
 * @property {number} problems
 */

/**
 * Reads the metrics of the last backup and the last check.
 * @param {string} metrics
 * @returns {Operations}
 */
export function operationsOf(metrics) {
  /** @type {(name: string) => number | null} */
  const value = (name) => {
    const line = metrics.split('\n').find((each) => each.startsWith(`${name} `));
    return line ? Number(line.slice(name.length)) : null;
  };
  return {
    backup: value('certgate_backup_finished_timestamp_seconds'),
    check: value('certgate_check_finished_timestamp_seconds'),
    problems: value('certgate_check_problems') ?? 0,
  };
}

/**
 * Returns the warnings, the worst first.
 * @param {import('./pages/overview.js').State} state
 * @param {import('./types.js').Caller | null} caller
 * @param {Date} now
 * @returns {Warning[]}
 */
export function warnings({ summary, authorities, points, operations }, caller, now) {
  const order = { error: 0, warning: 1, info: 2 };
  return [
    ...ofPage(),
    ...ofAuthorities(authorities ?? [], now),
    ...ofPoints(points, summary),
    ...ofOperations(operations, now),
    ...ofCaller(caller, now),
    ...ofCertificates(summary, now),
  ].toSorted((one, other) => order[one.kind] - order[other.kind]);
}

/** @returns {Warning[]} */
function ofPage() {
  if (isSecureContext) return [];
  return [{ kind: 'warning', body: text.overview.cleartext, remedy: nothing }];
}

/**
 * @param {import('./pages/overview.js').Authority[]} authorities
 * @param {Date} now
 * @returns {Warning[]}
 */
function ofAuthorities(authorities, now) {
  /** @type {Warning[]} */
  const found = [];
  for (const { name, state, expires_on: expires, crls } of authorities) {
    const ends = new Date(expires);
    if (state === 'active' && within(ends, now, CA_ENDS_DAYS)) {
      found.push({
        kind: ends <= now ? 'error' : 'warning',
        body: text.overview.caEnds(visible(name), distance(ends, now)),
        remedy: html`${command(text.overview.command, 'certgate ca rotate')}
          <p><a href="#/cas">${text.overview.caRotate}</a></p>`,
      });
    }
    const next = crls?.next_update ? new Date(crls.next_update) : null;
    if (next && ends > now && within(next, now, CRL_ENDS_DAYS)) {
      found.push({
        kind: 'error',
        body: text.overview.crlEnds(visible(name), distance(next, now)),
        remedy: command(text.overview.command, 'certgate check'),
      });
    }
  }
  return found;
}

/**
 * @param {import('./types.js').EnforcementPoint[] | null} points
 * @param {import('./pages/overview.js').Summary | null} summary
 * @returns {Warning[]}
 */
function ofPoints(points, summary) {
  /** @type {(status: string) => string[]} */
  const names = (status) =>
    (points ?? []).filter((point) => point.status === status).map(({ name }) => visible(name));
  const [silent, lagging] = [names('silent'), names('lagging')];
  const totals = summary?.totals;
  const pending = totals ? totals.pending_revocation + totals.pending_reactivation : 0;
  const open = html`<p><a href="#/enforcement-points">${text.overview.openPoints}</a></p>`;
  /** @type {Warning[]} */
  const found = [];
  if (silent.length > 0) {
    found.push({ kind: 'error', body: text.overview.silent(shortened(silent)), remedy: open });
  }
  if (lagging.length > 0) {
    found.push({
      kind: 'info',
      body: text.overview.lagging(shortened(lagging), pending),
      remedy: open,
    });
  } else if (pending > 0) {
    const status = totals?.pending_revocation ? 'pending_revocation' : 'pending_reactivation';
    const href = `#/certificates?status=${status}&replaced=all`;
    found.push({
      kind: 'info',
      body: text.overview.pending(pending),
      remedy: html`<p><a href=${href}>${text.overview.showPending}</a></p>`,
    });
  }
  return found;
}

/**
 * @param {Operations | null} operations
 * @param {Date} now
 * @returns {Warning[]}
 */
function ofOperations(operations, now) {
  if (!operations) return [];
  const { backup, check, problems } = operations;
  /** @type {Warning[]} */
  const found = [];
  if (check !== null && check > 0 && problems > 0) {
    found.push({
      kind: 'error',
      body: text.overview.checkProblems(problems, distance(new Date(check * 1000), now)),
      remedy: command(text.overview.command, 'certgate check'),
    });
  }
  if (backup !== null && isOld(backup, now, BACKUP_AGE_DAYS)) {
    found.push({
      kind: 'warning',
      body: backup > 0
        ? text.overview.backupOld(distance(new Date(backup * 1000), now))
        : text.overview.backupNever,
      remedy: command(text.overview.command, 'certgate backup certgate-backup.db'),
    });
  }
  if (check !== null && isOld(check, now, CHECK_AGE_DAYS)) {
    found.push({
      kind: 'info',
      body: check > 0
        ? text.overview.checkOld(distance(new Date(check * 1000), now))
        : text.overview.checkNever,
      remedy: command(text.overview.command, 'certgate check'),
    });
  }
  return found;
}

/**
 * @param {import('./types.js').Caller | null} caller
 * @param {Date} now
 * @returns {Warning[]}
 */
function ofCaller(caller, now) {
  if (!caller?.expires_on) return [];
  const ends = new Date(caller.expires_on);
  // A token for one day of work is meant to end.
  if (!within(ends, now, TOKEN_ENDS_DAYS) || within(ends, now, 1)) return [];
  return [
    {
      kind: 'info',
      body: text.overview.tokenEnds(distance(ends, now)),
      remedy: html`<p><a href="#/tokens">${text.overview.openTokens}</a></p>`,
    },
  ];
}

/**
 * Returns the conditions on certificates that expire soon, and that no renewal has replaced.
 * @param {Date} now
 * @returns {Record<string, string>}
 */
function expiringSoon(now) {
  return {
    status: 'active',
    replaced: 'false',
    'expires_on.after': dayAfter(now, 0),
    'expires_on.before': dayAfter(now, EXPIRING_DAYS),
  };
}

/**
 * Returns a UTC day, as in the API.
 * @param {Date} now
 * @param {number} days
 */
function dayAfter(now, days) {
  return new Date(now.getTime() + days * DAY_MS).toISOString().slice(0, 10);
}

/**
 * @param {import('./pages/overview.js').Summary | null} summary
 * @param {Date} now
 * @returns {Warning[]}
 */
function ofCertificates(summary, now) {
  if (!summary) return [];
  /** @type {Warning[]} */
  const found = [];
  const end = dayAfter(now, EXPIRING_DAYS);
  const soon = summary.expiring.filter(({ date }) => date < end);
  const expiring = soon.reduce((sum, { count }) => sum + count, 0);
  if (expiring > 0) {
    const href = `#/certificates?${new URLSearchParams(expiringSoon(now))}`;
    found.push({
      kind: 'info',
      body: text.overview.expiring(expiring, EXPIRING_DAYS),
      remedy: html`<p><a href=${href}>${text.overview.showExpiring}</a></p>`,
    });
  }
  if (summary.uncounted > 0) {
    found.push({ kind: 'info', body: text.overview.uncounted(summary.uncounted), remedy: nothing });
  }
  return found;
}

/** @param {string[]} names */
function shortened(names) {
  if (names.length <= NAMED_MAX) return names;
  return [...names.slice(0, NAMED_MAX), text.overview.more(names.length - NAMED_MAX)];
}

/**
 * @param {Date} date
 * @param {Date} now
 * @param {number} days
 */
function within(date, now, days) {
  return date.getTime() - now.getTime() <= days * DAY_MS;
}

/**
 * @param {number} seconds
 * @param {Date} now
 * @param {number} days
 */
function isOld(seconds, now, days) {
  return now.getTime() - seconds * 1000 > days * DAY_MS;
}
