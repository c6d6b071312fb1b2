/**
 * The contract between the shell and a page: one module in js/pages for each page.
 *
 * @typedef {object} Page
 * @property {string} title The heading, until the page sets another one with `view.title`.
 * @property {readonly string[]} needs Names of permissions. Without one of them, the shell explains
 *   which is missing and does not open the page.
 * @property {(view: View) => void} open Called on entry, when the query of the fragment changes and
 *   when the zone changes. Returns quickly, and loads data itself.
 * @property {(view: View) => boolean | void} [leave] Called before the page is left, also by
 *   closing the tab. `false`: the shell asks the user first.
 *
 * @typedef {import('../vendor/lit-html.js').TemplateResult} Template
 *
 * @typedef {object} View The same object from entry until the page is left.
 * @property {Readonly<Record<string, string>>} params The parts of the path, such as `id`.
 * @property {URLSearchParams} query The query of the fragment, without the zone. Read only: change
 *   it with `navigate`.
 * @property {HTMLElement} root The element that `render` fills.
 * @property {AbortSignal} signal Aborts when the page is left, and when the zone changes.
 * @property {import('./types.js').Zone | null} zone The chosen zone.
 * @property {string | null} account The ID of the account of the zone.
 * @property {import('./session.js').Session} session
 * @property {import('./api.js').Api} api
 * @property {import('./live.js').Live} live
 * @property {(to: string | URLSearchParams, options?: { replace?: boolean }) => void} navigate Goes
 *   to a fragment such as `#/issue`, or changes the query of this page. `replace` makes no new
 *   entry in the history of the tab, for example while the user types.
 * @property {(template: unknown) => void} render Renders into the main region.
 * @property {(text: string) => void} title Sets the heading and the title of the document.
 * @property {(text: string) => void} announce Tells a screen reader.
 */
