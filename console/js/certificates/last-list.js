/** Where the user was in each list, to return there after a look at a certificate. */

/** The lists whose scroll position is remembered. */
const POSITIONS_MAX = 50;

class Positions {
  /** @type {Map<string, number>} */
  #positions = new Map();

  /** The fragment of the last list. */
  last = '#/certificates';

  /**
   * @param {string} fragment
   * @param {number} position Pixels from the top.
   */
  remember(fragment, position) {
    this.last = fragment;
    this.#positions.delete(fragment);
    this.#positions.set(fragment, position);
    const [oldest] = this.#positions.keys();
    if (this.#positions.size > POSITIONS_MAX && oldest !== undefined) {
      this.#positions.delete(oldest);
    }
  }

  /** @param {string} fragment */
  of(fragment) {
    return this.#positions.get(fragment) ?? 0;
  }
}

export const positions = new Positions();
