/** A real table, which becomes one card for each row on a narrow screen. */

import { html, keyed, nothing, repeat } from '../../vendor/lit-html.js';

/**
 * @typedef {object} Sort
 * @property {'asc' | 'desc' | null} direction The present order; `null`: another column has it.
 * @property {() => void} toggle
 */

/**
 * @template T
 * @typedef {object} Column
 * @property {string} title The header of the column.
 * @property {(row: T) => unknown} cell A text or a template.
 * @property {boolean} [isNumber] Aligned to the right.
 * @property {boolean} [isHeader] The cell that names the row.
 * @property {string} [className] A class of each cell.
 * @property {boolean} [hideTitle] The header is for screen readers only.
 * @property {unknown} [head] A template in the place of the header.
 * @property {Sort} [sort] The column can order the list.
 */

/**
 * @template T
 * @param {object} options
 * @param {string} options.caption Names the table for screen readers.
 * @param {boolean} [options.showCaption]
 * @param {readonly Column<T>[]} options.columns
 * @param {readonly T[]} options.rows
 * @param {(row: T) => unknown} options.key
 * @param {(row: T) => boolean} [options.isSelected]
 * @param {unknown} [options.empty] Shown instead of rows.
 * @param {string} [options.page] Names the page of a long list. `repeat` of lit-html 3.3.3 leaves a
 *   comment in the document for each row that it removes: another page gets another body.
 */
export function table({ caption, showCaption, columns, rows, key, isSelected, empty, page = '' }) {
  if (rows.length === 0 && empty !== undefined) return empty;
  return html`<div class="table"><table class="cards">
    <caption class=${showCaption ? '' : 'unseen'}>${caption}</caption>
    <thead>
      <tr>
        ${columns.map(header)}
      </tr>
    </thead>
    ${keyed(
      page,
      html`<tbody>
        ${repeat(
          rows,
          key,
          (row) =>
            html`<tr class=${isSelected?.(row) ? 'selected' : ''}>
              ${columns.map((column) => cell(column, row))}
            </tr>`,
        )}
      </tbody>`,
    )}
  </table></div>`;
}

/** @param {Column<any>} column */
function header({ title, isNumber, hideTitle, head, sort, className }) {
  const order = { asc: 'ascending', desc: 'descending' };
  const symbol = { asc: '▲', desc: '▼' };
  const direction = sort?.direction;
  const words = hideTitle ? html`<span class="unseen">${title}</span>` : title;
  const button = html`<button class="sort" @click=${sort?.toggle}>
    ${title} <span aria-hidden="true">${direction ? symbol[direction] : '↕'}</span>
  </button>`;
  return html`<th
    scope="col"
    class=${`${isNumber ? 'number ' : ''}${className ?? ''}`}
    aria-sort=${direction ? order[direction] : nothing}
  >
    ${head ?? (sort ? button : words)}
  </th>`;
}

/**
 * @template T
 * @param {Column<T>} column
 * @param {T} row
 */
function cell({ title, cell: content, isNumber, isHeader, className, hideTitle }, row) {
  const classes = `${isNumber ? 'number ' : ''}${className ?? ''}`;
  const label = hideTitle ? nothing : title;
  return isHeader
    ? html`<th scope="row" class=${classes} data-title=${label}><div>${content(row)}</div></th>`
    : html`<td class=${classes} data-title=${label}><div>${content(row)}</div></td>`;
}
