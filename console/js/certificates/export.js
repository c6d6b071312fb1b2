/** The export of certificates as CSV. The rows go to the file while the pages arrive. */

import { csvLine } from '../ui/csv.js';

/** Spreadsheets recognise UTF-8 by this mark only. */
const MARK = '\ufeff';

/** The columns of `certgate cert list -o csv`. */
const COLUMNS = /** @type {const} */ ([
  'id',
  'common_name',
  'status',
  'issued_on',
  'expires_on',
  'serial_number',
  'fingerprint_sha256',
  'certificate_authority_id',
  'certificate_authority_name',
  'organization',
  'organizational_unit',
  'country',
  'replaces',
  'replaced_by',
]);

/**
 * Returns a row.
 *
 * @param {import('../types.js').ClientCertificate} certificate
 */
export function rowOf(certificate) {
  const { certificate_authority: authority, certgate: line } = certificate;
  const cells = {
    ...certificate,
    certificate_authority_id: authority.id,
    certificate_authority_name: authority.name,
    replaces: line?.replaces ?? '',
    replaced_by: line?.replaced_by ?? '',
  };
  return csvLine(COLUMNS.map((column) => cells[column]));
}

/**
 * Returns the file, which the browser keeps outside of the tab's memory.
 *
 * @param {AsyncIterable<import('../types.js').ClientCertificate[]>} parts
 * @param {(rows: number) => void} onRows Called with the number of rows so far.
 * @returns {Promise<Blob>}
 */
export async function csvFile(parts, onRows) {
  const encoder = new TextEncoder();
  let rows = 0;
  const iterator = parts[Symbol.asyncIterator]();
  const stream = new ReadableStream({
    start(controller) {
      controller.enqueue(encoder.encode(MARK + csvLine(COLUMNS)));
    },
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) {
        controller.close();
        return;
      }
      rows += value.length;
      controller.enqueue(encoder.encode(value.map(rowOf).join('')));
      onRows(rows);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
  return new Response(stream, { headers: { 'Content-Type': 'text/csv; charset=utf-8' } }).blob();
}
