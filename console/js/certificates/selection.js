/** The certificates that the user chose, on any page of any list. They end with the tab. */

/**
 * @typedef {object} Chosen
 * @property {string} id
 * @property {string} common_name
 * @property {import('../types.js').CertificateStatus} status
 * @property {string} expires_on
 * @property {import('../types.js').CertificateLine | undefined} [certgate]
 */

/** The most certificates that one can choose one by one. A bulk action of a search has no limit. */
export const CHOSEN_MAX = 10_000;

class Selection {
  /** @type {string | null} */
  #zone = null;
  /** @type {Map<string, Chosen>} */
  #chosen = new Map();

  /**
   * Forgets the certificates of another zone.
   *
   * @param {string | null} zone
   */
  enter(zone) {
    if (zone !== this.#zone) {
      this.#zone = zone;
      this.#chosen.clear();
    }
  }

  get size() {
    return this.#chosen.size;
  }

  /** @param {string} id */
  has(id) {
    return this.#chosen.has(id);
  }

  /** The chosen certificates, in the order of choice. */
  get all() {
    return [...this.#chosen.values()];
  }

  /**
   * Chooses certificates, or drops them. Returns false if there is no room for all of them.
   *
   * @param {readonly Chosen[]} certificates
   * @param {boolean} isChosen
   */
  set(certificates, isChosen) {
    for (const { id, common_name, status, expires_on, certgate } of certificates) {
      if (!isChosen) {
        this.#chosen.delete(id);
      } else if (this.#chosen.size < CHOSEN_MAX || this.#chosen.has(id)) {
        this.#chosen.set(id, { id, common_name, status, expires_on, certgate });
      } else {
        return false;
      }
    }
    return true;
  }

  /**
   * Takes over the present status of certificates that are chosen.
   *
   * @param {readonly Chosen[]} certificates
   */
  update(certificates) {
    this.set(
      certificates.filter(({ id }) => this.has(id)),
      true,
    );
  }

  clear() {
    this.#chosen.clear();
  }
}

export const selection = new Selection();
