/** The hostnames of a zone that ask for client certificates, for each CA. */

import { html, nothing, repeat } from '../../vendor/lit-html.js';
import { oneAtATime } from '../one-at-a-time.js';
import { commandLine } from '../shell-words.js';
import { text } from '../text.js';
import { foreign } from '../ui/certificate-name.js';
import { equivalents } from '../ui/copy.js';
import { confirm } from '../ui/dialog.js';
import { download, fileName } from '../ui/download.js';
import { textField } from '../ui/form.js';
import { named } from '../ui/named.js';
import { empty, errorNotice, loading } from '../ui/notice.js';
import { table } from '../ui/table.js';

const t = text.hostnames;

/** Most hostnames of a list. */
const HOSTNAMES_MAX = 1000;

/** Most hostnames whose CAs are shown without being asked for. */
const OPEN_MAX = 20;

/**
 * The hostnames of one CA.
 * @typedef {object} List
 * @property {string | null} id The ID of an uploaded CA; `null` for the managed ones.
 * @property {string} name
 * @property {string[]} hostnames
 * @property {Record<string, any>} values The field of new hostnames.
 * @property {unknown} error
 * @property {boolean} isBusy
 */

/**
 * @typedef {object} Host
 * @property {string} hostname
 * @property {string} zone_id
 * @property {string[]} certificate_authorities
 */

/**
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {List[] | null} lists
 * @property {{hosts: Host[], cas: Map<string, EnforcedCa>} | null} accepted
 * @property {unknown} error
 */

/**
 * @typedef {object} EnforcedCa
 * @property {string} id
 * @property {string} name
 * @property {'prepared' | 'active' | 'superseded' | 'retired'} state
 * @property {string} certificate
 * @property {string[]} intermediates
 */

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: ['SSL and Certificates Read'],
  open(view) {
    /** @type {State} */
    const state = { view, lists: null, accepted: null, error: null };
    const reload = oneAtATime(() => load(state));
    view.live.subscribe('refresh', () => void reload(), view.signal);
    draw(state);
    void reload();
  },
};

/** @param {State} state */
function base({ view }) {
  return `/client/v4/zones/${view.zone?.id}/certificate_authorities/hostname_associations`;
}

/**
 * @param {State} state
 * @param {string | null} id
 * @returns {Promise<string[]>}
 */
async function read(state, id) {
  const query = { mtls_certificate_id: id };
  const { result } = await state.view.api.get(base(state), query, { signal: state.view.signal });
  return result.hostnames;
}

/** @param {State} state */
async function load(state) {
  const { api, account, session, signal } = state.view;
  try {
    /** @type {{id: string | null, name: string}[]} */
    const cas = [{ id: null, name: t.managed }];
    if (session.may('Account: SSL and Certificates Read')) {
      const path = `/client/v4/accounts/${account}/mtls_certificates`;
      const { result } = await api.get(path, { ca: true }, { signal });
      cas.push(
        ...result.map((/** @type {{id: string, name: string | null}} */ { id, name }) => ({
          id,
          name: name ?? id,
        })),
      );
    }
    const lists = cas.map(async ({ id, name }) => {
      const hostnames = await read(state, id);
      // What was typed, and the error of the last change, stay.
      const known = state.lists?.find((list) => list.id === id);
      if (!known) {
        return { id, name, hostnames, values: { hostnames: '' }, error: null, isBusy: false };
      }
      if (!known.isBusy) Object.assign(known, { name, hostnames });
      return known;
    });
    state.lists = await Promise.all(lists);
    if (session.may('Enforcement Points Read')) {
      const path = `/certgate/v1/accounts/${account}/enforcement`;
      const { result } = await api.get(path, {}, { signal });
      const all = result.certificate_authorities.map((/** @type {EnforcedCa} */ ca) => [ca.id, ca]);
      state.accepted = { hosts: result.hostnames, cas: new Map(all) };
    }
    state.error = null;
  } catch (error) {
    if (signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/** @param {State} state */
function draw(state) {
  const { view, lists, error } = state;
  view.render(html`
    <p>${t.intro}</p>
    ${error === null ? nothing : errorNotice(error)}
    ${lists === null && error === null ? loading() : nothing}
    ${
      lists === null
        ? nothing
        : html`${repeat(
            lists,
            ({ id }) => id,
            (list) => panel(state, list),
          )}
          ${
            view.session.may('Account: SSL and Certificates Read')
              ? nothing
              : html`<p class="hint">${t.uploadsLack}</p>`
          }
          ${accepted(state)}`
    }
  `);
}

/**
 * Reads the list anew, changes it and writes it back, so that the change of another user stays.
 * @param {State} state
 * @param {List} list
 * @param {(hostnames: string[]) => string[]} change
 * @param {string} done
 */
async function write(state, list, change, done) {
  const { view } = state;
  list.isBusy = true;
  list.error = null;
  draw(state);
  try {
    const hostnames = change(await read(state, list.id));
    const { result } = await view.api.put(base(state), bodyOf(list, hostnames));
    list.hostnames = result.hostnames;
    list.values = { hostnames: '' };
    view.announce(done);
  } catch (error) {
    list.error = error;
  }
  list.isBusy = false;
  draw(state);
  await load(state);
}

/**
 * @param {List} list
 * @param {string[]} hostnames
 */
function bodyOf({ id }, hostnames) {
  return id === null ? { hostnames } : { hostnames, mtls_certificate_id: id };
}

/** @param {string} typed */
function typedHostnames(typed) {
  return typed.split(/[\s,]+/).filter(Boolean);
}

/**
 * @param {State} state
 * @param {List} list
 */
function panel(state, list) {
  const { view } = state;
  const mayWrite = view.session.may('SSL and Certificates Write');
  const title = `hostnames-of-${list.id ?? 'managed'}`;
  const added = typedHostnames(list.values['hostnames']);
  /** @param {Event} event */
  const add = (event) => {
    event.preventDefault();
    if (added.length === 0 || list.isBusy) return;
    const isNew = (/** @type {string[]} */ present) => {
      const known = new Set(present.map((name) => name.toLowerCase()));
      return added.filter((name) => !known.has(name.toLowerCase()));
    };
    void write(state, list, (present) => [...present, ...isNew(present)], t.added);
  };
  /** @param {string} hostname */
  const remove = async (hostname) => {
    const isConfirmed = await confirm({
      title: t.removeTitle(named(hostname)),
      body: html`<p>${t.removeBody(named(list.name))}</p>`,
      action: t.removeAction,
      isDanger: true,
      signal: view.signal,
    });
    const without = (/** @type {string[]} */ present) => present.filter((one) => one !== hostname);
    if (isConfirmed) await write(state, list, without, t.removed);
  };
  const option = list.id === null ? [] : ['--ca', list.id];
  const zone = ['--zone', view.zone?.name ?? ''];
  const words = added.length > 0 ? ['add', ...added] : ['list'];
  return html`<section class="panel" aria-labelledby=${title}>
    <h2 id=${title}>${foreign(list.name)}</h2>
    ${
      list.hostnames.length === 0
        ? html`<p>${t.none}</p>`
        : html`<ul class="hosts" aria-label=${t.title}>
            ${list.hostnames.map(
              (hostname) =>
                html`<li>
                  <bdi class="mono">${hostname}</bdi>
                  ${
                    mayWrite
                      ? html`<button
                          class="quiet"
                          aria-label=${t.removeLabel(hostname)}
                          ?disabled=${list.isBusy}
                          @click=${() => remove(hostname)}
                        >
                          <span aria-hidden="true">✕</span>
                        </button>`
                      : nothing
                  }
                </li>`,
            )}
          </ul>`
    }
    ${
      mayWrite
        ? html`<form class="inline" @submit=${add}>
            ${textField({ values: list.values, changed: () => draw(state) }, 'hostnames', {
              label: t.add,
              hint: t.addHint(view.zone?.name ?? '', HOSTNAMES_MAX),
              isCode: true,
            })}
            <button type="submit" ?disabled=${added.length === 0 || list.isBusy}>
              ${t.addAction}
            </button>
          </form>`
        : html`<p class="hint">${t.readOnly}</p>`
    }
    <div role="alert">${list.error === null ? nothing : errorNotice(list.error)}</div>
    ${equivalents(
      t.same,
      added.length > 0
        ? view.api.curl('PUT', base(state), bodyOf(list, [...list.hostnames, ...added]))
        : view.api.curl('GET', `${base(state)}${list.id ? `?mtls_certificate_id=${list.id}` : ''}`),
      commandLine('certgate', 'host', ...words, ...option, ...zone),
    )}
  </section>`;
}

/** @param {State} state */
function accepted({ view, accepted: all }) {
  if (all === null) return nothing;
  const { cas } = all;
  const hosts = all.hosts.filter(({ zone_id: zone }) => zone === view.zone?.id);
  const trusted = (/** @type {Host} */ { certificate_authorities: ids }) =>
    ids.flatMap((id) => {
      const ca = cas.get(id);
      return ca && ca.state !== 'retired' ? [ca] : [];
    });
  const columns = [
    {
      title: t.hostname,
      isHeader: true,
      cell: (/** @type {Host} */ host) => html`<bdi class="mono">${host.hostname}</bdi>`,
    },
    {
      title: t.accepts,
      cell: (/** @type {Host} */ host) => {
        const some = trusted(host);
        return some.length === 0
          ? t.acceptsNone
          : html`<ul class="plain">
              ${some.map(({ id, name }) => html`<li>${foreign(name || id)}</li>`)}
            </ul>`;
      },
    },
    {
      title: text.common.actions,
      hideTitle: true,
      className: 'tight',
      cell: (/** @type {Host} */ host) => {
        const pem = trusted(host).map(({ certificate, intermediates }) =>
          [certificate, ...intermediates].map((one) => `${one.trimEnd()}\n`).join(''),
        );
        return html`<div class="row-actions">
          <button
            ?disabled=${pem.length === 0}
            aria-label=${t.saveLabel(host.hostname)}
            @click=${() =>
              download(`${fileName(host.hostname)}-ca.pem`, 'application/x-pem-file', pem)}
          >
            ${t.save}
          </button>
        </div>`;
      },
    },
  ];
  const [first] = hosts;
  const shown = table({
    caption: t.acceptedTitle,
    columns,
    rows: hosts,
    key: ({ hostname }) => hostname,
    empty: empty(t.noHosts),
  });
  const bundle = first
    ? equivalents(
        t.sameBundle,
        view.api.curl('GET', `/certgate/v1/accounts/${view.account}/enforcement`),
        commandLine('certgate', 'ca', 'export', '--bundle', '--hostname', first.hostname),
      )
    : nothing;
  return html`<section aria-labelledby="accepted">
    <h2 id="accepted">${t.acceptedTitle}</h2>
    <p>${t.acceptedHint}</p>
    ${hosts.length > OPEN_MAX
      ? html`<details>
          <summary>${t.acceptedCount(hosts.length)}</summary>
          ${shown}
        </details>`
      : shown}
    ${bundle}
  </section>`;
}
