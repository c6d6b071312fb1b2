/** CSV (RFC 4180) that no spreadsheet takes for a formula. */

/** First characters that make a spreadsheet compute a cell. */
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

/** @param {readonly (string | number)[]} cells */
export function csvLine(cells) {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/** @param {string | number} value */
function csvCell(value) {
  if (typeof value === 'number') return String(value);
  // Spreadsheets skip blanks before they look for a formula.
  const text = FORMULA.test(value.trimStart()) || FORMULA.test(value) ? `'${value}` : value;
  return `"${text.replaceAll('"', '""')}"`;
}
