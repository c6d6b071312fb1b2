/** CSV (RFC 4180) that no spreadsheet takes for a formula. */

/**
 * A character that makes a spreadsheet compute a cell, also in its full width: at the beginning, or
 * after a character that a spreadsheet with other settings takes for the end of a cell. Blanks are
 * skipped, as spreadsheets do.
 */
const FORMULA = /(^|[;,|"\t\r\n])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g;

/** @param {readonly (string | number)[]} cells */
export function csvLine(cells) {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/** @param {string | number} value */
function csvCell(value) {
  if (typeof value === 'number') return String(value);
  return `"${value.replace(FORMULA, "$1$2'").replaceAll('"', '""')}"`;
}
