/** A QR code as a picture: dark on white in both themes, because some cameras need that. */

import { html } from '../../vendor/lit-html.js';
import { encodeQR } from '../../vendor/qr.js';

/** The white squares around a code (ISO/IEC 18004 §5.3.8). */
const BORDER = 4;

/**
 * @param {string} value
 * @param {string} label
 */
export function qrCode(value, label) {
  const rows = encodeQR(value, 'raw', { ecc: 'medium', border: BORDER });
  const squares = rows.flatMap((row, y) =>
    row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])),
  );
  const size = rows.length;
  return html`<svg class="qr" role="img" aria-label=${label} viewBox="0 0 ${size} ${size}">
    <rect class="light" width=${size} height=${size} />
    <path class="dark" d=${squares.join('')} />
  </svg>`;
}
