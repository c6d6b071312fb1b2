/** The owner of tokens: the user, or an account. Each has its own paths and permissions. */

/**
 * @typedef {object} Owned
 * @property {import('../page.js').View} view
 * @property {boolean} isOfAccount
 */

/**
 * Returns true if the page is about tokens of the account.
 * @param {import('../page.js').View} view
 */
export function isOfAccount(view) {
  return view.query.get('of') === 'account';
}

/**
 * @param {{ account: string | null }} view
 * @param {boolean} ofAccount
 */
export function pathOf({ account }, ofAccount) {
  return ofAccount ? `/client/v4/accounts/${account}/tokens` : '/client/v4/user/tokens';
}

/**
 * @param {boolean} ofAccount
 * @param {'Read' | 'Write'} does
 */
export function permission(ofAccount, does) {
  return `${ofAccount ? 'Account API Tokens' : 'API Tokens'} ${does}`;
}

/**
 * Returns the query of a page about tokens of the same owner, in the same zone.
 * @param {Owned} owned
 */
export function queryOf({ view, isOfAccount: ofAccount }) {
  const query = new URLSearchParams(ofAccount ? { of: 'account' } : {});
  if (view.zone) query.set('zone', view.zone.id);
  return query;
}

/** @param {Owned} owned */
export function listLink(owned) {
  return `#/tokens?${queryOf(owned)}`;
}
