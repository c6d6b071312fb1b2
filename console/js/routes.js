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
];
