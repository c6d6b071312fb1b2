/**
 * The progress of a change at each enforcement point: who refuses, or admits, the certificate.
 *
 * @typedef {import('../types.js').EnforcementPoint} EnforcementPoint
 *
 * @typedef {object} PointProgress
 * @property {EnforcementPoint} point
 * @property {'done' | 'waiting' | 'silent'} state `silent`: the change does not wait for it.
 */

/**
 * @param {readonly EnforcementPoint[]} points
 * @param {number} epoch The epoch of the change.
 * @returns {PointProgress[]}
 */
export function progressOf(points, epoch) {
  return points.map((point) => {
    if (point.acknowledged_epoch >= epoch) {
      return { point, state: 'done' };
    }
    return { point, state: point.status === 'silent' ? 'silent' : 'waiting' };
  });
}

/**
 * Returns the last event of a history that changed the status; null for a certificate that was
 * never revoked.
 *
 * @param {readonly import('../types.js').CertificateEvent[]} events The oldest first.
 */
export function lastChange(events) {
  return events.findLast(({ action }) => action === 'revoked' || action === 'restored') ?? null;
}

/**
 * Returns true if the certificate is revoked, or will be, and can be restored.
 *
 * @param {import('../types.js').CertificateStatus} status
 * @param {readonly import('../types.js').CertificateEvent[] | null} events Null if unknown.
 */
export function canUndo(status, events) {
  if (status !== 'revoked' && status !== 'pending_revocation') {
    return false;
  }
  const change = events && lastChange(events);
  return !change || (change.reason ?? 'certificateHold') === 'certificateHold';
}
