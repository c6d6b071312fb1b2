/** The pages of a list as links, so that the browser's history has them. */

import { html, nothing } from '../../vendor/lit-html.js';
import { text } from '../text.js';

/**
 * @param {object} options
 * @param {import('../types.js').ResultInfo} options.info
 * @param {(page: number) => void} options.go
 * @param {boolean} [options.isExact] False if more certificates match than the total says.
 */
export function pager({ info, go, isExact = true }) {
  const { page, per_page: size, count, total_count: total, total_pages: pages } = info;
  if (total === 0) return html`<p class="pager">${text.common.rangeEmpty}</p>`;
  const first = (page - 1) * size + 1;
  const range = text.common.range(first, first + Math.max(count, 1) - 1, total, isExact);
  /** @param {Event} event */
  const jump = (event) => {
    const { value } = /** @type {HTMLInputElement} */ (event.target);
    const wanted = Math.round(Number(value));
    if (wanted >= 1) go(Math.min(wanted, pages));
  };
  /** @type {(to: number, symbol: string, label: string) => unknown} */
  const step = (to, symbol, label) => {
    const isOff = to < 1 || to > pages || to === page;
    return html`<button class="quiet" ?disabled=${isOff} aria-label=${label} @click=${() => go(to)}>
      ${symbol}
    </button>`;
  };
  const steps = html`
    ${step(1, '«', text.common.firstPage)} ${step(page - 1, '‹', text.common.previousPage)}
    <label>
      <span>${text.common.page}</span>
      <input type="number" min="1" max=${pages} .value=${String(page)} @change=${jump} />
      <span>${text.common.ofPages(pages)}</span>
    </label>
    ${step(page + 1, '›', text.common.nextPage)} ${step(pages, '»', text.common.lastPage)}
  `;
  return html`<nav class="pager" aria-label=${text.common.pages}>
    <span class="range">${range}</span>
    ${pages > 1 ? html`<span class="steps">${steps}</span>` : nothing}
  </nav>`;
}
