/** Names from outside in the middle of a sentence. */

import { visible } from './certificate-name.js';

/** The characters of a name that a sentence shows. */
const SHOWN_MAX = 80;

/** Isolate a text from the direction of the sentence around it (UAX #9 §2.7). */
const [FIRST_STRONG_ISOLATE, POP_ISOLATE] = ['\u2068', '\u2069'];

/**
 * Returns a name for a sentence: shortened, without controls, and isolated from the text around.
 * @param {string} name
 */
export function named(name) {
  const characters = [...visible(name)];
  const isLong = characters.length > SHOWN_MAX;
  const shown = isLong ? `${characters.slice(0, SHOWN_MAX).join('')}…` : characters.join('');
  return `${FIRST_STRONG_ISOLATE}${shown}${POP_ISOLATE}`;
}
