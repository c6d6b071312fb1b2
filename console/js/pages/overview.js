/** Page 1: is everything in order? */

import { html } from '../../vendor/lit-html.js';
import { count, text } from '../text.js';
import { errorNotice, loading } from '../ui/notice.js';

const STATUSES = /** @type {const} */ ([
  'active',
  'pending_revocation',
  'revoked',
  'pending_reactivation',
]);

/** @type {import('../page.js').Page} */
export const page = {
  title: text.overview.title,
  needs: ['Client Certificates Read'],
  open(view) {
    view.render(loading());
    void draw(view);
    view.live.subscribe('refresh', () => void draw(view), view.signal);
  },
};

/** @param {import('../page.js').View} view */
async function draw(view) {
  const { api, signal, zone } = view;
  try {
    const { result } = await api.get(`/certgate/v1/zones/${zone?.id}/summary`, {}, { signal });
    view.render(html`
      <div class="totals">
        ${STATUSES.map(
          (status) => html`<a href=${`#/certificates?status=${status}`}>
            ${text.common.status[status]} <strong>${count(result.totals[status])}</strong>
          </a>`,
        )}
      </div>
    `);
  } catch (error) {
    if (!signal.aborted) view.render(errorNotice(error));
  }
}
