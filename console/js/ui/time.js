/** Times in the reader's zone, with UTC on hover. */

import { html } from '../../vendor/lit-html.js';
import { text } from '../text.js';

const ABSOLUTE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const RELATIVE = new Intl.RelativeTimeFormat('en');

/** Units with their length in seconds, the longest first, and the least number of each. */
const UNITS = /** @type {const} */ ([
  ['year', 31_557_600, 2],
  ['month', 2_629_800, 2],
  ['day', 86_400, 1],
  ['hour', 3600, 1],
  ['minute', 60, 1],
]);

/**
 * A time as the reader's clock shows it.
 * @param {string} time RFC 3339.
 * @param {'minute' | 'second' | 'day'} [precision]
 */
export function when(time, precision = 'minute') {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return html`<span>${time}</span>`;
  const format = { minute: ABSOLUTE, second: EXACT, day: DAY }[precision];
  return html`<time datetime=${time} title=${text.common.utc(utc(date))}
    >${format.format(date)}</time
  >`;
}

/**
 * A time in words, for labels that are not templates.
 * @param {Date} date
 */
export function timeWords(date) {
  return ABSOLUTE.format(date);
}

/**
 * A day in words.
 * @param {Date} date
 */
export function dayWords(date) {
  return DAY.format(date);
}

/**
 * A time as a distance from now, such as "in 3 days".
 * @param {string} time RFC 3339.
 */
export function ago(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return html`<span>${time}</span>`;
  const title = `${ABSOLUTE.format(date)} (${text.common.utc(utc(date))})`;
  return html`<time datetime=${time} title=${title}>${distance(date, new Date())}</time>`;
}

/**
 * @param {Date} date
 * @param {Date} now
 */
export function distance(date, now) {
  const seconds = (date.getTime() - now.getTime()) / 1000;
  for (const [unit, length, least] of UNITS) {
    if (Math.abs(seconds) < length * least) continue;
    return RELATIVE.format(Math.trunc(seconds / length), unit);
  }
  // Minus zero would be "0 seconds ago".
  return RELATIVE.format(Math.trunc(seconds) || 0, 'second');
}

/** @param {Date} date */
function utc(date) {
  return date.toISOString().replace('T', ' ').replace(/\.\d+Z$/, '');
}
