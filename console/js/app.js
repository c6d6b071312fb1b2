/** The frame around the pages: sign-in, navigation, zone, banner, and the life of a page. */

import { html, nothing, render, repeat } from '../vendor/lit-html.js';
import { Api } from './api.js';
import { connection } from './connection.js';
import { Live } from './live.js';
import { currentPath, format, parse } from './router.js';
import { routes } from './routes.js';
import { Session } from './session.js';
import { signIn } from './sign-in.js';
import { text } from './text.js';
import { confirm } from './ui/dialog.js';
import { errorNotice, loading, notice } from './ui/notice.js';

const api = new Api();
const session = new Session(api);
const live = new Live(api, session);

/**
 * The open page.
 * @typedef {object} Open
 * @property {import('./routes.js').Route} route
 * @property {import('./page.js').Page} page
 * @property {import('./page.js').View & { query: URLSearchParams }} view
 * @property {AbortController} leaving
 * @property {string} fragment
 */

/** The page that opens first, by a permission that it needs. */
const HOMES = /** @type {const} */ ([
  ['Client Certificates Read', 'overview'],
  ['Client Certificates Issue', 'issue'],
  ['Enforcement Points Read', 'enforcement-points'],
  ['Account Settings Read', 'cas'],
  ['API Tokens Read', 'tokens'],
]);

/** @type {Open | null} */
let open = null;
/** Counts entries, so that a page whose module arrives late does not replace a newer one. */
let entries = 0;
let isMenuOpen = false;
/** The user is asked about leaving the page: one click is a `hashchange` and a `popstate`. */
let isAsking = false;

const app = /** @type {HTMLElement} */ (document.getElementById('app'));

/** @param {string} selector */
function element(selector) {
  return /** @type {HTMLElement} */ (app.querySelector(selector));
}

function frame() {
  const { caller, zone } = session;
  if (!caller) return signIn(session);
  const path = currentPath().split('/')[0];
  return html`
    <button class="skip" @click=${() => element('#heading').focus()}>${text.shell.skip}</button>
    <header class="top">
      <a class="brand" href="#/overview">${text.shell.brand}</a>
      <button
        class="menu quiet"
        aria-expanded=${isMenuOpen}
        aria-controls="navigation"
        @click=${() => setMenu(!isMenuOpen)}
      >
        ${text.shell.menu}
      </button>
      <div class="where">${zonePicker()}</div>
      <div class="who">
        <bdi class="caller" title=${caller.name}>${caller.name}</bdi>
        <button class="quiet" @click=${leaveSession}>${text.shell.signOut}</button>
      </div>
    </header>
    <nav
      id="navigation"
      class=${isMenuOpen ? 'side open' : 'side'}
      aria-label=${text.shell.navigation}
    >
      <ul>
        ${routes.map((route) => {
          if (!route.nav) return nothing;
          const isCurrent = route.path === path;
          const href = format(route.path, new URLSearchParams(), zone?.id ?? null);
          return html`<li>
            <a href=${href} aria-current=${isCurrent ? 'page' : nothing}>${route.nav}</a>
          </li>`;
        })}
      </ul>
    </nav>
    <main id="main">
      <div id="banner" role="status"></div>
      <h1 id="heading" tabindex="-1"></h1>
      <div id="page"></div>
    </main>
    <div id="announcer" class="unseen" role="status" aria-live="polite"></div>
  `;
}

/** @param {Event} event */
function chooseZone(event) {
  const { value } = /** @type {HTMLSelectElement} */ (event.target);
  const { params } = parse(location.hash);
  // An object of one zone does not exist in another one: go up to its list.
  const path = Object.keys(params).length > 0 ? currentPath().split('/')[0] ?? '' : currentPath();
  location.hash = format(path, new URLSearchParams(), value);
}

function zonePicker() {
  const { zones, zone, zonesTotal } = session;
  if (!zone) return html`<span class="quiet-text">${text.shell.noZone}</span>`;
  return html`
    <label>
      <span>${text.shell.zone}</span>
      <select @change=${chooseZone}>
        ${repeat(
          zones,
          (each) => each.id,
          (each) =>
            html`<option value=${each.id} ?selected=${each.id === zone.id}>${each.name}</option>`,
        )}
      </select>
    </label>
    ${zonesTotal > zones.length ? text.shell.moreZones(zones.length, zonesTotal) : nothing}
  `;
}

/** @param {boolean} isOpen */
function setMenu(isOpen) {
  isMenuOpen = isOpen;
  render(frame(), app);
}

async function leaveSession() {
  if (await mayLeave()) session.signOut();
}

/** Returns true if the page has nothing to lose, or if the user leaves it anyway. */
async function mayLeave() {
  if (!open || open.page.leave?.(open.view) !== false) return true;
  isAsking = true;
  try {
    return await confirm({
      title: text.shell.leaveTitle,
      body: text.shell.leaveBody,
      action: text.shell.leaveAction,
      isDanger: true,
    });
  } finally {
    isAsking = false;
  }
}

/** Returns the path of the first page that the token may open. */
function home() {
  return HOMES.find(([permission]) => session.may(permission))?.[1] ?? 'overview';
}

function close() {
  open?.leaving.abort();
  open = null;
}

/** Opens the page of the fragment, or gives the open page its new query. */
async function go() {
  if (!session.isSignedIn || isAsking) return;
  if (['', '#', '#/'].includes(location.hash)) history.replaceState(null, '', `#/${home()}`);
  const target = parse(location.hash);
  if (target.zone !== null && target.zone !== session.zone?.id) {
    if (open && location.hash !== open.fragment && !(await mayLeave())) return stay();
    const { hash } = location;
    if (session.chooseZone(target.zone)) return;
    if (await session.findZone(target.zone)) {
      if (location.hash === hash) session.chooseZone(target.zone);
      return;
    }
    close();
    render(frame(), app);
    return show(text.shell.noSuchZoneTitle, notice('warning', text.shell.noSuchZone(target.zone)));
  }
  const zone = session.zone?.id ?? null;
  const fragment = format(currentPath(), target.query, zone);
  if (fragment !== location.hash) history.replaceState(null, '', fragment);
  const isSame =
    open !== null &&
    open.route === target.route &&
    open.view.zone?.id === session.zone?.id &&
    JSON.stringify(open.view.params) === JSON.stringify(target.params);
  if (open && isSame) {
    if (open.fragment === fragment) return;
    open.fragment = fragment;
    open.view.query = target.query;
    open.page.open(open.view);
    return;
  }
  if (!(await mayLeave())) return stay();
  const isFirst = entries === 0;
  close();
  entries += 1;
  const entry = entries;
  isMenuOpen = false;
  render(frame(), app);
  if (!target.route) {
    return show(text.shell.noPageTitle, notice('warning', text.shell.noPage));
  }
  show(target.route.nav ?? '', loading());
  /** @type {import('./page.js').Page} */
  let page;
  try {
    page = (await target.route.load()).page;
  } catch {
    // The server was updated: its files have another folder now.
    if (entry === entries) show(text.shell.staleTitle, stale());
    return;
  }
  if (entry !== entries) return;
  const lacks = session.lacks(page.needs);
  if (lacks.length > 0) {
    return show(page.title, notice('warning', text.shell.lacks(lacks)));
  }
  scrollTo(0, 0);
  enter(target, page, fragment);
  if (!isFirst) element('#heading').focus({ preventScroll: true });
}

/**
 * @param {import('./router.js').Target} target
 * @param {import('./page.js').Page} page
 * @param {string} fragment
 */
function enter(target, page, fragment) {
  const leaving = new AbortController();
  const root = emptyPage();
  const view = {
    params: target.params,
    query: target.query,
    root,
    signal: leaving.signal,
    zone: session.zone,
    account: session.account,
    session,
    api,
    live,
    navigate,
    /** @param {unknown} template */
    render(template) {
      if (!leaving.signal.aborted) render(template, root);
    },
    /** @param {string} title */
    title(title) {
      if (!leaving.signal.aborted) setTitle(title);
    },
    announce,
  };
  const route = /** @type {import('./routes.js').Route} */ (target.route);
  open = { route, page, view, leaving, fragment };
  setTitle(page.title);
  page.open(view);
}

/** Returns a new element for a page: lit-html must not continue the page before. */
function emptyPage() {
  const root = document.createElement('div');
  root.id = 'page';
  element('#page').replaceWith(root);
  return root;
}

/**
 * Shows a page that has no module.
 * @param {string} title
 * @param {unknown} template
 */
function show(title, template) {
  setTitle(title);
  render(template, emptyPage());
}

function stale() {
  return html`${notice('warning', text.shell.stale)}
    <p><button class="primary" @click=${() => location.reload()}>${text.shell.reload}</button></p>`;
}

/** @param {string} title */
function setTitle(title) {
  element('#heading').textContent = title;
  document.title = title ? text.shell.documentTitle(title) : text.shell.brand;
}

/** Returns to the fragment of the open page, which the user did not leave. */
function stay() {
  if (open) history.pushState(null, '', open.fragment);
}

/**
 * @param {string | URLSearchParams} to
 * @param {{ replace?: boolean }} [options]
 */
function navigate(to, { replace = false } = {}) {
  const fragment =
    typeof to === 'string' ? to : format(currentPath(), to, session.zone?.id ?? null);
  if (fragment === location.hash) return;
  if (replace) history.replaceState(null, '', fragment);
  else history.pushState(null, '', fragment);
  void go();
}

/** @param {string} words */
function announce(words) {
  const announcer = element('#announcer');
  if (!announcer) return;
  // The same words twice are said twice only if the text changes.
  announcer.textContent = announcer.textContent === words ? `${words}\u00a0` : words;
}

function banner() {
  const root = app.querySelector('#banner');
  if (!(root instanceof HTMLElement)) return;
  const { condition } = connection;
  let template = /** @type {unknown} */ (nothing);
  if (condition.state === 'lost') template = notice('warning', text.shell.lost);
  if (condition.state === 'busy') {
    const seconds = Math.max(1, Math.ceil((condition.until - Date.now()) / 1000));
    template = notice('info', text.shell.busy(seconds));
  }
  render(template, root);
}

function sessionChanged() {
  const wasOpen = open !== null;
  if (!session.isSignedIn) {
    close();
    entries = 0;
    render(frame(), app);
    document.title = text.shell.documentTitle(text.signIn.title);
    return;
  }
  // Another zone: the page opens anew, with the same path.
  const before = open?.view.zone?.id;
  if (wasOpen && before !== session.zone?.id) {
    const isDeleted = !session.zones.some(({ id }) => id === before);
    const { query } = parse(location.hash);
    const fragment = format(currentPath(), query, session.zone?.id ?? null);
    if (isDeleted) history.replaceState(null, '', fragment);
    close();
  }
  render(frame(), app);
  banner();
  void go();
}

addEventListener('hashchange', () => void go());
addEventListener('popstate', () => void go());
addEventListener('beforeunload', (event) => {
  if (open && open.page.leave?.(open.view) === false) event.preventDefault();
});
addEventListener('error', ({ error }) => showDefect(error));
addEventListener('unhandledrejection', ({ reason }) => showDefect(reason));
connection.addEventListener('change', banner);
// The browser knows before a request fails.
addEventListener('offline', () => void connection.probe());
session.addEventListener('change', sessionChanged);

/**
 * A defect of the console: the user sees it instead of a page that stands still.
 * @param {unknown} error
 */
function showDefect(error) {
  if (error instanceof DOMException && error.name === 'AbortError') return;
  if (open?.view.signal.aborted) return;
  const root = app.querySelector('#banner');
  if (root instanceof HTMLElement) render(errorNotice(error), root);
}

render(html`<main class="sign-in"><div id="banner" role="status"></div>${loading()}</main>`, app);
await session.resume();
if (!session.isSignedIn) sessionChanged();
