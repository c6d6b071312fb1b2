/** The words of the chips. */

import { text } from '../text.js';
import { visible } from '../ui/certificate-name.js';
import { dayWords, timeWords } from '../ui/time.js';
import { firstDay, lastDay, midnight } from './dates.js';

/**
 * @param {import('./filters.js').Chip} chip
 * @param {(id: string) => string} authorityName
 */
export function chipLabel({ kind, values }, authorityName) {
  const words = text.certificates.chip;
  const [[parameter, value] = ['', '']] = Object.entries(values);
  switch (kind) {
    case 'name':
      return words.name(parameter, visible(value));
    case 'id':
      return words.id(visible(value));
    case 'serial':
      return words.serial(visible(value));
    case 'fingerprint':
      return words.fingerprint(visible(value));
    case 'authority':
      return words.authority(visible(authorityName(value)));
    default:
      return words.times(kind, ...range(kind, values));
  }
}

/**
 * Returns both ends of a range of times as words.
 *
 * @param {'expires' | 'issued' | 'revoked'} kind
 * @param {Record<string, string>} values
 * @returns {[string, string]}
 */
function range(kind, values) {
  const words = text.certificates.chip;
  const [after, before] = [values[`${kind}_on.after`], values[`${kind}_on.before`]];
  const [first, last] = [firstDay(after), lastDay(before)];
  const begin = first ? words.from(dayWords(midnight(first))) : after && words.after(shown(after));
  const end = last ? words.until(dayWords(midnight(last))) : before && words.before(shown(before));
  return [begin || '', end || ''];
}

/** @param {string} time */
function shown(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? visible(time) : timeWords(date);
}
