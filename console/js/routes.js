/** The pages by the path of the fragment. Each owner of a page adds its line here. */

import { text } from './text.js';

/**
 * @typedef {object} Route
 * @property {string} path Of the fragment. A part that begins with `:` is a parameter.
 * @property {string} [nav] The text of its entry in the navigation, for pages that have one.
 * @property {() => Promise<{ page: import('./page.js').Page }>} load
 */

/** @type {Route[]} */
export const routes = [
  { path: 'overview', nav: text.overview.title, load: () => import('./pages/overview.js') },
  {
    path: 'certificates',
    nav: text.certificates.title,
    load: () => import('./pages/certificates.js'),
  },
  { path: 'certificates/:id', load: () => import('./pages/certificate.js') },
  { path: 'bulk', nav: text.bulk.title, load: () => import('./pages/bulk.js') },
  { path: 'issue', nav: text.issue.title, load: () => import('./pages/issue.js') },
  { path: 'invites', nav: text.invites.title, load: () => import('./pages/invites.js') },
  { path: 'cas', nav: text.authorities.title, load: () => import('./pages/cas.js') },
  { path: 'hostnames', nav: text.hostnames.title, load: () => import('./pages/hostnames.js') },
  {
    path: 'enforcement-points',
    nav: text.enforcement.title,
    load: () => import('./pages/enforcement-points.js'),
  },
  { path: 'rules', nav: text.rules.title, load: () => import('./pages/rules.js') },
  { path: 'zones', nav: text.zones.title, load: () => import('./pages/zones.js') },
  { path: 'accounts', nav: text.accounts.title, load: () => import('./pages/accounts.js') },
  { path: 'tokens', nav: text.tokens.title, load: () => import('./pages/tokens.js') },
  { path: 'tokens/new', load: () => import('./pages/new-token.js') },
  { path: 'tokens/:id', load: () => import('./pages/token.js') },
  {
    path: 'notifications',
    nav: text.notifications.title,
    load: () => import('./pages/notifications.js'),
  },
  { path: 'audit', nav: text.audit.title, load: () => import('./pages/audit.js') },
];
