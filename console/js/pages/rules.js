/** The issuance rules of the chosen zone. */

import { html, nothing } from '../../vendor/lit-html.js';
import { ruleSentences } from '../issue/findings.js';
import { enrolmentFields, ruleFields, ruleValues, rulesOf } from '../rules-form.js';
import { commandLine } from '../shell-words.js';
import { text } from '../text.js';
import { command, equivalents } from '../ui/copy.js';
import { confirm } from '../ui/dialog.js';
import { errorNotice, loading, notice } from '../ui/notice.js';

const t = text.rules;

/**
 * @typedef {object} State
 * @property {import('../page.js').View} view
 * @property {import('../issuance-rules.js').IssuanceRules | null} stored
 * @property {{ id: string, name: string }[]} uploaded The uploaded CAs of the account.
 * @property {Record<string, any>} values
 * @property {boolean} isChanged
 * @property {boolean} isBusy
 * @property {unknown} error
 * @property {string} done
 */

/** @type {WeakMap<import('../page.js').View, State>} */
const states = new WeakMap();

/** @type {import('../page.js').Page} */
export const page = {
  title: t.title,
  needs: ['Zone Read'],
  open(view) {
    /** @type {State} */
    const state = {
      view,
      stored: null,
      uploaded: [],
      values: ruleValues({}),
      isChanged: false,
      isBusy: false,
      error: null,
      done: '',
    };
    states.set(view, state);
    draw(state);
    void load(state);
  },
  leave(view) {
    return !states.get(view)?.isChanged;
  },
};

/** @param {State} state */
function path({ view }) {
  return `/certgate/v1/zones/${view.zone?.id}/issuance_rules`;
}

/** @param {State} state */
async function load(state) {
  const { api, signal } = state.view;
  try {
    const [rules, uploaded] = await Promise.all([
      api.get(path(state), {}, { signal }),
      readUploaded(state),
    ]);
    state.uploaded = uploaded;
    show(state, rules.result);
  } catch (error) {
    if (signal.aborted) return;
    state.error = error;
  }
  draw(state);
}

/** @param {State} state */
async function readUploaded({ view }) {
  const { account, api, session, signal } = view;
  if (account === null || !session.may('Account: SSL and Certificates Read')) return [];
  const path = `/client/v4/accounts/${account}/mtls_certificates`;
  const { result } = await api.get(path, { ca: true }, { signal });
  return result.map((/** @type {{ id: string, name: string | null }} */ { id, name }) => ({
    id,
    name: name ?? id,
  }));
}

/**
 * @param {State} state
 * @param {import('../issuance-rules.js').IssuanceRules} rules
 */
function show(state, rules) {
  state.stored = rules;
  state.values = ruleValues(rules);
  state.isChanged = false;
  state.error = null;
}

/**
 * @param {State} state
 * @param {import('../issuance-rules.js').IssuanceRules} rules
 * @param {string} done
 */
async function save(state, rules, done) {
  state.isBusy = true;
  state.error = null;
  state.done = '';
  draw(state);
  try {
    show(state, (await state.view.api.put(path(state), rules)).result);
    state.done = done;
    state.view.announce(done);
    scrollTo(0, 0);
  } catch (error) {
    state.error = error;
  }
  state.isBusy = false;
  draw(state);
}

/** @param {State} state */
function draw(state) {
  const { view, stored, values, error, done, isBusy, isChanged } = state;
  if (stored === null) {
    view.render(error === null ? loading() : errorNotice(error));
    return;
  }
  const mayWrite = view.session.may('Zone Write');
  const { rules, problems } = rulesOf(values);
  const isReady = Object.keys(problems).length === 0 && isChanged && !isBusy;
  const form = {
    values,
    problems,
    changed: () => {
      state.isChanged = true;
      state.done = '';
      draw(state);
    },
  };
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    if (isReady) void save(state, rules, t.saved);
  };
  const removeAll = async () => {
    const question = { title: t.removeTitle, body: t.removeBody, action: t.removeAction };
    if (await confirm({ ...question, isDanger: true, signal: view.signal })) {
      await save(state, {}, t.removed);
    }
  };
  view.render(html`
    ${done ? notice('success', done) : nothing}
    <p>${t.intro}</p>
    <section class="panel" aria-labelledby="rules-now">
      <h2 id="rules-now">${t.now(view.zone?.name ?? '')}</h2>
      ${sentences(stored)}
      ${equivalents(
        t.sameShow,
        view.api.curl('GET', path(state)),
        commandLine('certgate', 'zone', 'rules', 'show', view.zone?.name ?? ''),
      )}
    </section>
    ${
      mayWrite
        ? html`<form @submit=${submit}>
            <h2>${t.change}</h2>
            ${ruleFields(form, false)} ${enrolmentFields(form, state.uploaded)}
            <div role="alert">${error === null ? nothing : errorNotice(error)}</div>
            <div class="actions">
              <button class="primary" type="submit" ?disabled=${!isReady}>${t.save}</button>
              <button
                type="button"
                ?disabled=${!isChanged || isBusy}
                @click=${() => {
                  show(state, stored);
                  draw(state);
                }}
              >
                ${t.discard}
              </button>
              ${
                Object.keys(stored).length > 0
                  ? html`<button type="button" class="quiet" @click=${removeAll}>
                      ${t.remove}
                    </button>`
                  : nothing
              }
            </div>
            <details class="equivalents">
              <summary>${t.same}</summary>
              ${command(t.rulesFile, JSON.stringify(rules, null, 2))}
              ${command(
                text.common.cli,
                commandLine(
                  'certgate',
                  'zone',
                  'rules',
                  'set',
                  view.zone?.name ?? '',
                  'rules.json',
                ),
              )}
              ${command(text.common.curl, view.api.curl('PUT', path(state), rules))}
            </details>
          </form>`
        : html`<p class="hint">${t.readOnly}</p>`
    }
  `);
}

/** @param {import('../issuance-rules.js').IssuanceRules} rules */
function sentences(rules) {
  const all = ruleSentences(rules);
  if (all.length === 0) return html`<p>${t.none}</p>`;
  return html`<ul class="sentences">
    ${all.map((one) => html`<li>${one}</li>`)}
  </ul>`;
}
