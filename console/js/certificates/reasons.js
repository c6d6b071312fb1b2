/**
 * The reasons of a revocation (RFC 5280 §5.3.1). Their everyday words are in text.js.
 *
 * @typedef {'certificateHold'|'keyCompromise'|'superseded'|'cessationOfOperation'
 *   |'affiliationChanged'|'privilegeWithdrawn'|'cACompromise'|'unspecified'} Reason
 *
 * @typedef {object} Choice
 * @property {string} word The key of its text.
 * @property {Reason} reason
 */

/**
 * The choices, in the order of the list. Two everyday words can mean the same reason.
 *
 * @type {readonly Choice[]}
 */
export const CHOICES = [
  { word: 'hold', reason: 'certificateHold' },
  { word: 'deviceLost', reason: 'keyCompromise' },
  { word: 'keyStolen', reason: 'keyCompromise' },
  { word: 'replaced', reason: 'superseded' },
  { word: 'notUsed', reason: 'cessationOfOperation' },
  { word: 'left', reason: 'affiliationChanged' },
  { word: 'notAllowed', reason: 'privilegeWithdrawn' },
  { word: 'caStolen', reason: 'cACompromise' },
  { word: 'other', reason: 'unspecified' },
];

/** The choice without a decision of the user. */
export const DEFAULT_WORD = 'hold';

/**
 * Returns true if a revocation for this reason cannot be undone.
 *
 * @param {string | null | undefined} reason
 */
export function isFinal(reason) {
  return reason !== 'certificateHold';
}

/** @param {string} word */
export function reasonOf(word) {
  return CHOICES.find((choice) => choice.word === word)?.reason ?? 'certificateHold';
}

/**
 * Returns the body of the DELETE request; undefined for the API's default.
 *
 * @param {Reason} reason
 */
export function bodyOf(reason) {
  return reason === 'certificateHold' ? undefined : { reason };
}

/**
 * Returns a reason as `--reason` of the command line has it, such as `key-compromise`.
 *
 * @param {string} reason
 */
export function kebab(reason) {
  const words = reason === 'cACompromise' ? 'caCompromise' : reason;
  return words.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
