/** The pictures of the overview: SVG that can be read without colour, with the numbers in words. */

import { html, nothing, svg } from '../vendor/lit-html.js';
import { count, text } from './text.js';

const DAY_MS = 86_400_000;

/** The days of the chart of issued and revoked certificates. */
const ACTIVITY_DAYS = 90;

/** The width of a day in the calendar, and the largest square in it. */
const CELL = 14;
const SQUARE_MAX = 12;

/** The smallest square of a day with a certificate. */
const SQUARE_MIN = 4;

/** The room for the names of months and weekdays. */
const LABELS_TOP = 18;
const LABELS_LEFT = 32;

const MONTH = new Intl.DateTimeFormat('en', { month: 'short', timeZone: 'UTC' });
const MONTH_YEAR = new Intl.DateTimeFormat('en', {
  month: 'long',
  year: 'numeric',
  timeZone: 'UTC',
});
const DATE = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeZone: 'UTC' });
const WEEKDAY = new Intl.DateTimeFormat('en', { weekday: 'short', timeZone: 'UTC' });

/**
 * The days from today to the same date next year as squares, a column for each week, and the months
 * in numbers.
 * @param {import('./types.js').DayCount[]} expiring
 * @param {Date} now
 */
export function expiryCalendar(expiring, now) {
  const counts = new Map(expiring.map(({ date, count: number }) => [date, number]));
  const today = startOfDay(now);
  const end = new Date(today);
  end.setUTCFullYear(end.getUTCFullYear() + 1);
  end.setUTCDate(end.getUTCDate() + 1);
  const days = [...daysBetween(today, end)];
  const numbers = days.map((day) => counts.get(iso(day)) ?? 0);
  const total = numbers.reduce((sum, number) => sum + number, 0);
  const most = Math.max(1, ...numbers);
  const firstWeekday = mondayBased(today);
  const weeks = Math.ceil((firstWeekday + days.length) / 7);
  const [width, height] = [LABELS_LEFT + weeks * CELL, LABELS_TOP + 7 * CELL];
  const column = (/** @type {number} */ index) => Math.floor((firstWeekday + index) / 7);

  return html`<section class="panel" aria-labelledby="expiry-title">
    <h2 id="expiry-title">${text.overview.expiry}</h2>
    <p class="hint">${text.overview.expirySummary(total)}</p>
    <div class="scroll" role="group" aria-labelledby="expiry-title" tabindex="0">
      <svg
        class="calendar"
        role="img"
        aria-label=${text.overview.expirySummary(total)}
        viewBox="0 0 ${width} ${height}"
      >
        ${days.map((day, index) =>
          day.getUTCDate() === 1
            ? label(LABELS_LEFT + column(index) * CELL, LABELS_TOP - 6, 'start', MONTH.format(day))
            : nothing,
        )}
        ${[0, 2, 4].map((weekday) =>
          label(0, LABELS_TOP + weekday * CELL + 11, 'start', weekdayName(weekday)),
        )}
        ${days.map((day, index) => {
          const number = numbers[index] ?? 0;
          const x = LABELS_LEFT + column(index) * CELL;
          const y = LABELS_TOP + ((firstWeekday + index) % 7) * CELL;
          const range = SQUARE_MAX - SQUARE_MIN;
          const side = number === 0 ? 0 : SQUARE_MIN + range * Math.sqrt(number / most);
          const rest = (SQUARE_MAX - side) / 2 + 1;
          return svg`<g>
            <title>${text.overview.expiryDay(DATE.format(day), number)}</title>
            <rect class="day" x=${x + 1} y=${y + 1} width=${SQUARE_MAX} height=${SQUARE_MAX} />
            ${
              number === 0
                ? nothing
                : svg`<rect
                    class="amount" x=${x + rest} y=${y + rest} width=${side} height=${side}
                  />`
            }
          </g>`;
        })}
      </svg>
    </div>
    <h3 class="unseen">${text.overview.byMonth}</h3>
    <ul class="months">
      ${months(today, end).map(({ start, after }) => {
        let number = 0;
        for (const [index, day] of days.entries()) {
          if (day >= start && day < after) number += numbers[index] ?? 0;
        }
        // Both ends of the filter are exclusive, and a date stands for its first instant.
        const before = new Date(start.getTime() - 1).toISOString();
        const query = new URLSearchParams({
          status: 'active',
          replaced: 'false',
          'expires_on.after': before,
          'expires_on.before': iso(after),
        });
        const name = MONTH_YEAR.format(start);
        return html`<li>
          <a href=${`#/certificates?${query}`} aria-label=${text.overview.monthLink(name, number)}>
            <span>${name}</span> <strong>${count(number)}</strong>
          </a>
        </li>`;
      })}
    </ul>
  </section>`;
}

/**
 * Issued certificates as bars upwards, revoked ones as striped bars downwards, on one scale.
 * @param {import('./types.js').DayCount[]} issued
 * @param {import('./types.js').DayCount[]} revoked
 * @param {Date} now
 */
export function activityChart(issued, revoked, now) {
  const today = startOfDay(now);
  const first = new Date(today.getTime() - (ACTIVITY_DAYS - 1) * DAY_MS);
  const days = [...daysBetween(first, new Date(today.getTime() + DAY_MS))].map((day) => ({
    day,
    issued: numberOf(issued, day),
    revoked: numberOf(revoked, day),
  }));
  /** @type {(key: 'issued' | 'revoked') => number} */
  const total = (key) => days.reduce((sum, day) => sum + day[key], 0);
  /** @type {(key: 'issued' | 'revoked') => number} */
  const most = (key) => Math.max(0, ...days.map((day) => day[key]));
  const [mostIssued, mostRevoked] = [most('issued'), most('revoked')];
  const scale = 160 / Math.max(1, mostIssued + mostRevoked);
  const axis = 14 + mostIssued * scale;
  const [step, left] = [7, 56];
  const [width, bottom] = [left + ACTIVITY_DAYS * step, axis + mostRevoked * scale];
  const height = Math.max(bottom, axis + 2) + 22;
  const summary = text.overview.activitySummary(total('issued'), total('revoked'));
  /** @type {(number: number) => number} */
  const length = (number) => (number === 0 ? 0 : Math.max(1.5, number * scale));

  return html`<section class="panel" aria-labelledby="activity-title">
    <h2 id="activity-title">${text.overview.activity}</h2>
    <p class="hint">${summary}</p>
    <div class="scroll latest" role="group" aria-labelledby="activity-title" tabindex="0">
      <svg class="activity" role="img" aria-label=${summary} viewBox="0 0 ${width} ${height}">
        <defs>
          <pattern
            id="stripes"
            width="4"
            height="4"
            patternUnits="userSpaceOnUse"
            patternTransform="rotate(45)"
          >
            <rect class="stripe-back" width="4" height="4" />
            <rect class="stripe" width="2" height="4" />
          </pattern>
        </defs>
        ${
          mostIssued > 0
            ? label(left - 6, axis - mostIssued * scale + 8, 'end', count(mostIssued))
            : nothing
        }
        ${
          mostRevoked > 0
            ? label(left - 6, bottom, 'end', count(mostRevoked))
            : nothing
        }
        ${days.map(({ day, issued: up, revoked: down }, index) => {
          const x = left + index * step;
          return svg`<g>
            <title>${text.overview.activityDay(DATE.format(day), up, down)}</title>
            <rect class="hit" x=${x} y="0" width=${step} height=${height - 20} />
            <rect
              class="issued"
              x=${x + 1}
              y=${axis - length(up)}
              width=${step - 2}
              height=${length(up)}
            />
            <rect class="revoked" x=${x + 1} y=${axis} width=${step - 2} height=${length(down)} />
          </g>`;
        })}
        <line class="axis" x1=${left} x2=${width} y1=${axis} y2=${axis} />
        ${[0, ACTIVITY_DAYS / 2, ACTIVITY_DAYS - 1].map((index) => {
          const anchor = index === 0 ? 'start' : index === ACTIVITY_DAYS - 1 ? 'end' : 'middle';
          const day = days[index]?.day ?? today;
          const x = left + (index + (anchor === 'end' ? 1 : 0)) * step;
          return label(x, height - 5, anchor, DATE.format(day));
        })}
      </svg>
    </div>
  </section>`;
}

/**
 * A text in a picture.
 * @param {number} x
 * @param {number} y
 * @param {'start' | 'middle' | 'end'} anchor
 * @param {string} words
 */
function label(x, y, anchor, words) {
  return svg`<text class="label" x=${x} y=${y} text-anchor=${anchor}>${words}</text>`;
}

/**
 * The months from today to a day, the first and the last one in part.
 * @param {Date} today
 * @param {Date} end
 */
function months(today, end) {
  /** @type {{ start: Date, after: Date }[]} */
  const found = [];
  let start = today;
  while (start < end) {
    const next = new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1, 1));
    found.push({ start, after: next < end ? next : end });
    start = next;
  }
  return found;
}

/**
 * @param {Date} first
 * @param {Date} after
 */
function* daysBetween(first, after) {
  for (let time = first.getTime(); time < after.getTime(); time += DAY_MS) yield new Date(time);
}

/**
 * @param {import('./types.js').DayCount[]} counts
 * @param {Date} day
 */
function numberOf(counts, day) {
  const date = iso(day);
  return counts.find((each) => each.date === date)?.count ?? 0;
}

/** @param {Date} date */
function startOfDay(date) {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()));
}

/** @param {Date} day */
function iso(day) {
  return day.toISOString().slice(0, 10);
}

/** @param {Date} day */
function mondayBased(day) {
  return (day.getUTCDay() + 6) % 7;
}

/** @param {number} weekday 0: Monday. */
function weekdayName(weekday) {
  // 1 January 2024 was a Monday.
  return WEEKDAY.format(new Date(Date.UTC(2024, 0, 1 + weekday)));
}
