/**
 * Days of the reader's zone as ends of a range of times. The API excludes both ends and has
 * microseconds; people include both days.
 */

/**
 * Returns the value of `….after` for "from this day on".
 *
 * @param {string} day Such as `2026-12-01`.
 */
export function afterOf(day) {
  return new Date(midnight(day).getTime() - 1).toISOString().replace('Z', '999Z');
}

/**
 * Returns the value of `….before` for "until this day, and including it".
 *
 * @param {string} day
 */
export function beforeOf(day) {
  const date = midnight(day);
  date.setDate(date.getDate() + 1);
  return date.toISOString();
}

/**
 * Returns the first day of a range; null if it begins in the middle of a day of the reader's zone.
 *
 * @param {string | undefined} after
 */
export function firstDay(after) {
  const time = after === undefined ? Number.NaN : Date.parse(after);
  return after?.endsWith('.999999Z') ? dayOf(new Date(time + 1)) : null;
}

/**
 * Returns the last day of a range; null if it does not end with a whole day of the reader's zone.
 *
 * @param {string | undefined} before
 */
export function lastDay(before) {
  const date = new Date(before ?? Number.NaN);
  const day = dayOf(date);
  date.setDate(date.getDate() - 1);
  return day === null ? null : dayOf(date);
}

/**
 * Returns the day that begins with this time.
 *
 * @param {Date} date
 */
function dayOf(date) {
  if (Number.isNaN(date.getTime())) {
    return null;
  }
  const parts = [date.getFullYear(), date.getMonth() + 1, date.getDate()];
  const [year = '', month = '', day = ''] = parts.map(String);
  const text = `${year.padStart(4, '0')}-${month.padStart(2, '0')}-${day.padStart(2, '0')}`;
  return midnight(text).getTime() === date.getTime() ? text : null;
}

/**
 * The first instant of a day, which is not midnight everywhere.
 *
 * @param {string} day
 */
export function midnight(day) {
  return new Date(`${day}T00:00:00`);
}
