/** A table of the enforcement points, with what each of them does with a change. */

import { html } from '../../vendor/lit-html.js';
import { text } from '../text.js';
import { foreign } from '../ui/certificate-name.js';
import { badge } from '../ui/notice.js';
import { table } from '../ui/table.js';
import { ago } from '../ui/time.js';
import { progressOf } from './progress.js';

const words = text.certificate;

/** @typedef {import('../types.js').EnforcementPoint} EnforcementPoint */

/**
 * @param {object} options
 * @param {readonly EnforcementPoint[] | null} options.points Null if the token may not see them.
 * @param {number} options.epoch The epoch of the change.
 * @param {boolean} options.isRevocation
 * @param {(id: string) => number | null} [options.seconds] The time until a point confirmed it.
 */
export function pointProgress({ points, epoch, isRevocation, seconds }) {
  if (points === null) {
    return html`<p class="hint">${words.pointsHidden}</p>`;
  }
  if (points.length === 0) {
    return html`<p class="hint">${words.noPoints}</p>`;
  }
  const states = {
    done: () => badge(isRevocation ? 'bad' : 'good', isRevocation ? words.refuses : words.admits),
    waiting: () => badge('waiting', words.waiting),
    silent: () => badge('quiet', words.silent),
  };
  return table({
    caption: isRevocation ? words.refusing : words.admitting,
    columns: [
      { title: words.point, isHeader: true, cell: ({ point }) => foreign(point.name) },
      { title: words.pointState, cell: ({ state }) => states[state]() },
      ...(seconds ? [timeColumn(seconds)] : []),
      { title: words.covers, cell: ({ point }) => point.covers.map(words.coverage).join(', ') },
      { title: words.seen, cell: ({ point }) => ago(point.seen_on) },
    ],
    rows: progressOf(points, epoch),
    key: ({ point }) => point.id,
  });
}

/**
 * @param {(id: string) => number | null} seconds
 * @returns {import('../ui/table.js').Column<import('./progress.js').PointProgress>}
 */
function timeColumn(seconds) {
  return {
    title: words.after,
    isNumber: true,
    cell: ({ point, state }) => {
      const after = state === 'done' ? seconds(point.id) : null;
      return after === null ? '–' : words.seconds(after);
    },
  };
}

/**
 * Reads the enforcement points; null if the token may not see them.
 *
 * @param {import('../page.js').View} view
 * @param {{ signal: AbortSignal, quiet?: boolean }} options
 * @returns {Promise<EnforcementPoint[] | null>}
 */
export async function readPoints({ account, api, session }, options) {
  if (account === null || !session.may('Enforcement Points Read')) {
    return null;
  }
  const path = `/certgate/v1/accounts/${account}/enforcement_points`;
  return (await api.get(path, {}, options)).result;
}
