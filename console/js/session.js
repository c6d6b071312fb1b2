/** The signed-in token: what it may do and where. */

import { ApiError } from './api.js';
import { text } from './text.js';

/** The name of the token in `sessionStorage`, which the browser forgets with the tab. */
const STORED_TOKEN = 'certgate.token';

/** The name of the last zone in `sessionStorage`. */
const STORED_ZONE = 'certgate.zone';

/** The zones that the list of zones shows at most. */
const ZONES_MAX = 1000;

/** The zones of one request. */
const ZONES_PER_PAGE = 50;

/** Events: `change` after signing in or out, and after another zone was chosen. */
export class Session extends EventTarget {
  #api;
  /** @type {Map<string, import('./types.js').Permission>} */
  #permissions = new Map();

  /** @type {import('./types.js').Caller | null} */
  caller = null;
  /** @type {import('./types.js').Zone[]} */
  zones = [];
  /** @type {import('./types.js').Zone | null} */
  zone = null;
  /** The number of zones that the token sees, `zones` has at most 1,000 of them. */
  zonesTotal = 0;
  /** Why the last session ended, as a sentence. */
  ended = '';

  /** @param {import('./api.js').Api} api */
  constructor(api) {
    super();
    this.#api = api;
    api.onInvalidToken = () => {
      if (this.isSignedIn) this.#end(text.shell.invalidToken);
    };
  }

  get isSignedIn() {
    return this.caller !== null;
  }

  /** The account of the zone, or the only one that the token names. */
  get account() {
    if (this.zone?.account) return this.zone.account.id;
    const named = new Set([...this.#permissions.values()].flatMap(({ accounts }) => accounts));
    return named.size === 1 ? [...named][0] ?? null : null;
  }

  /** Signs in again with the token that the tab remembers, if it does. */
  async resume() {
    const token = sessionStorage.getItem(STORED_TOKEN);
    if (!token) return;
    try {
      await this.#begin(token);
    } catch (error) {
      this.#end(error instanceof ApiError ? error.message : String(error));
    }
  }

  /**
   * Throws the server's error if it does not accept the token.
   * @param {string} token
   * @param {boolean} remember Until the tab is closed.
   */
  async signIn(token, remember) {
    try {
      await this.#begin(token);
    } catch (error) {
      this.#api.setToken(null);
      throw error;
    }
    if (remember) sessionStorage.setItem(STORED_TOKEN, token);
    this.ended = '';
  }

  signOut() {
    this.#end('');
  }

  /**
   * Continues with the new value of the same token.
   * @param {string} token
   */
  replaceToken(token) {
    this.#api.setToken(token);
    if (sessionStorage.getItem(STORED_TOKEN) !== null) sessionStorage.setItem(STORED_TOKEN, token);
  }

  /** Reads the zones again, after one was created or deleted. */
  async refreshZones() {
    await this.#readZones();
    this.zone = this.zones.find(({ id }) => id === this.zone?.id) ?? this.zones[0] ?? null;
    this.dispatchEvent(new Event('change'));
  }

  /**
   * Returns true if the token has the permission, given by its name in the API.
   * @param {string} permission Such as `Client Certificates Revoke`.
   * @param {{ zone?: string | null, account?: string | null }} [place] Default: the chosen zone and
   *   its account. For a permission on zones without a zone: every zone of the account.
   */
  may(permission, place) {
    const held = this.#permissions.get(permission);
    if (!held) return false;
    const zone = place ? place.zone ?? null : this.zone?.id ?? null;
    const account = place?.account ?? this.#accountOf(zone) ?? this.account;
    switch (held.scope) {
      case 'com.cloudflare.api.user':
        return true;
      case 'com.cloudflare.api.account':
        if (account !== null && held.except_accounts.includes(account)) return false;
        return held.everywhere || (account !== null && held.accounts.includes(account));
      case 'com.cloudflare.api.account.zone':
        if (zone !== null && held.except_zones.includes(zone)) return false;
        if (account !== null && held.except_accounts.includes(account)) return false;
        return (
          held.everywhere ||
          (zone !== null && held.zones.includes(zone)) ||
          (account !== null && held.accounts.includes(account))
        );
    }
  }

  /**
   * Returns true if the token has the permission in some place.
   * @param {string} permission
   */
  has(permission) {
    return this.#permissions.has(permission);
  }

  /**
   * Returns true if the token has the permission in every place, future ones included.
   * @param {string} permission
   */
  mayEverywhere(permission) {
    const held = this.#permissions.get(permission);
    if (!held?.everywhere) return false;
    return held.except_accounts.length === 0 && held.except_zones.length === 0;
  }

  /**
   * Returns the permissions among these that the token lacks in the chosen zone.
   * @param {readonly string[]} permissions
   */
  lacks(permissions) {
    return permissions.filter((permission) => !this.may(permission));
  }

  /**
   * Chooses a zone. Returns false if the token does not see it.
   * @param {string} id
   */
  chooseZone(id) {
    const zone = this.zones.find((each) => each.id === id);
    if (!zone) return false;
    if (zone.id === this.zone?.id) return true;
    this.zone = zone;
    sessionStorage.setItem(STORED_ZONE, zone.id);
    this.dispatchEvent(new Event('change'));
    return true;
  }

  /**
   * Adds a zone to the list that is not among the first ones. Returns false if the token does not
   * see it.
   * @param {string} id
   */
  async findZone(id) {
    if (this.zonesTotal <= this.zones.length || !/^[0-9a-f]{32}$/.test(id)) return false;
    try {
      const { result } = await this.#api.get(`/client/v4/zones/${id}`);
      this.zones.push({ id: result.id, name: result.name, account: result.account });
      return true;
    } catch (error) {
      if (error instanceof ApiError) return false;
      throw error;
    }
  }

  /** @param {string | null} zone */
  #accountOf(zone) {
    return this.zones.find((each) => each.id === zone)?.account?.id ?? null;
  }

  /** @param {string} token */
  async #begin(token) {
    this.#api.setToken(token);
    const { result } = await this.#api.get('/certgate/v1/permissions');
    /** @type {import('./types.js').Permission[]} */
    const permissions = result.permissions;
    this.#permissions = new Map(permissions.map((each) => [each.name, each]));
    await this.#readZones();
    const last = sessionStorage.getItem(STORED_ZONE);
    this.zone = this.zones.find(({ id }) => id === last) ?? this.zones[0] ?? null;
    const { expires_on, issuance_rules = null } = result;
    this.caller = { ...result.caller, expires_on, issuance_rules };
    this.dispatchEvent(new Event('change'));
  }

  /** Reads the zones, also of a token that may not list them but names some. */
  async #readZones() {
    /** @type {Map<string, import('./types.js').Zone>} */
    const zones = new Map();
    this.zonesTotal = 0;
    if (this.#permissions.has('Zone Read')) {
      for (let page = 1; zones.size < ZONES_MAX; page += 1) {
        const query = { page, per_page: ZONES_PER_PAGE, order: 'name' };
        const { result, result_info } = await this.#api.get('/client/v4/zones', query);
        for (const { id, name, account } of result) zones.set(id, { id, name, account });
        this.zonesTotal = result_info.total_count;
        if (result.length < ZONES_PER_PAGE) break;
      }
    }
    for (const { scope, zones: ids } of this.#permissions.values()) {
      if (scope !== 'com.cloudflare.api.account.zone') continue;
      for (const id of ids) {
        if (zones.has(id) || zones.size >= ZONES_MAX) continue;
        zones.set(id, { id, name: id, account: null });
      }
    }
    this.zones = [...zones.values()];
    this.zonesTotal = Math.max(this.zonesTotal, this.zones.length);
  }

  /** @param {string} reason */
  #end(reason) {
    this.#api.setToken(null);
    sessionStorage.removeItem(STORED_TOKEN);
    sessionStorage.removeItem(STORED_ZONE);
    this.#permissions.clear();
    this.caller = null;
    this.zones = [];
    this.zone = null;
    this.ended = reason;
    this.dispatchEvent(new Event('change'));
  }
}
