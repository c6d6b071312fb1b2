/** A form of issuance rules, for a zone or a token. */

import { html, nothing } from '../vendor/lit-html.js';
import { lifetimeSeconds, lifetimeText } from './issuance-rules.js';
import { ATTRIBUTES } from './requests/pkcs10.js';
import { text } from './text.js';
import { areaField, checksField, lines, radioField, textField } from './ui/form.js';
import { named } from './ui/named.js';

/** @typedef {import('./issuance-rules.js').IssuanceRules} IssuanceRules */

const t = text.rules;

/** The types of keys that the form offers. A rule can have other sizes of RSA keys too. */
const KEY_TYPES = ['P-256', 'P-384', 'P-521', 'Ed25519', 'RSA', 'RSA-2048', 'RSA-3072', 'RSA-4096'];

/** The largest number that a rule can have: JSON numbers of the server are exact up to it. */
const NUMBER_MAX = Number.MAX_SAFE_INTEGER;

const NAME_KINDS = /** @type {const} */ (['dns', 'email', 'uri', 'ip']);

/**
 * Returns the values of the form.
 * @param {IssuanceRules} rules
 * @returns {Record<string, any>}
 */
export function ruleValues(rules) {
  const all = (/** @type {string[] | undefined} */ values) => (values ?? []).join('\n');
  const names = rules.alternative_names;
  return {
    commonNames: all(rules.common_names),
    keyTypes: new Set(rules.key_types ?? []),
    lifetime: lifetime(rules.max_lifetime),
    required: new Set(rules.required_attributes ?? []),
    forbidden: new Set(rules.forbidden_attributes ?? []),
    perDay: rules.certificates_per_day?.toString() ?? '',
    perName: rules.active_per_name?.toString() ?? '',
    names: names === undefined ? 'absent' : 'some',
    dns: all(names?.dns),
    email: all(names?.email),
    uri: all(names?.uri),
    ip: all(names?.ip),
    beyond: names?.beyond ?? 'drop',
    enrolmentLifetime: lifetime(rules.enrolment?.lifetime),
    revokeReplaced: lifetime(rules.enrolment?.revoke_replaced_after),
    trustedCas: new Set(rules.enrolment?.trusted_cas ?? []),
  };
}

/** @param {number | undefined} seconds */
function lifetime(seconds) {
  return seconds === undefined ? '' : lifetimeText(seconds);
}

/**
 * Returns the rules of the form, and a sentence for each field with a problem.
 * @param {Record<string, any>} values
 * @returns {{rules: IssuanceRules, problems: Record<string, string>}}
 */
export function rulesOf(values) {
  /** @type {Record<string, string>} */
  const problems = {};
  /** @type {IssuanceRules} */
  const rules = {};
  const commonNames = lines(values['commonNames']);
  if (commonNames.length > 0) rules.common_names = commonNames;
  if (values['keyTypes'].size > 0) rules.key_types = [...values['keyTypes']];
  if (values['lifetime'].trim() !== '') {
    const seconds = lifetimeSeconds(values['lifetime']);
    if (seconds === null) problems['lifetime'] = t.lifetimeProblem;
    else rules.max_lifetime = seconds;
  }
  if (values['required'].size > 0) rules.required_attributes = [...values['required']];
  if (values['forbidden'].size > 0) rules.forbidden_attributes = [...values['forbidden']];
  const both = [...values['required']].filter((name) => values['forbidden'].has(name));
  if (both.length > 0) {
    problems['forbidden'] = t.bothProblem(
      both.map((name) => t.attributes[name] ?? name).join(', '),
    );
  }
  for (const [field, rule] of /** @type {const} */ ([
    ['perDay', 'certificates_per_day'],
    ['perName', 'active_per_name'],
  ])) {
    if (values[field].trim() === '') continue;
    const number = Number(values[field]);
    if (Number.isInteger(number) && number >= 1 && number <= NUMBER_MAX) rules[rule] = number;
    else problems[field] = t.numberProblem;
  }
  if (values['names'] === 'some') {
    rules.alternative_names = { beyond: values['beyond'] };
    for (const kind of NAME_KINDS) {
      const patterns = lines(values[kind]);
      if (patterns.length > 0) rules.alternative_names[kind] = patterns;
    }
  }
  const enrolment = enrolmentOf(values, problems);
  if (Object.keys(enrolment).length > 0) rules.enrolment = enrolment;
  return { rules, problems };
}

/**
 * @param {Record<string, any>} values
 * @param {Record<string, string>} problems
 */
function enrolmentOf(values, problems) {
  /** @type {import('./issuance-rules.js').EnrolmentRules} */
  const rules = {};
  for (const [field, rule] of /** @type {const} */ ([
    ['enrolmentLifetime', 'lifetime'],
    ['revokeReplaced', 'revoke_replaced_after'],
  ])) {
    if (values[field].trim() === '') continue;
    const seconds = lifetimeSeconds(values[field]);
    if (seconds === null) problems[field] = t.lifetimeProblem;
    else rules[rule] = seconds;
  }
  if (values['trustedCas'].size > 0) rules.trusted_cas = [...values['trustedCas']];
  return rules;
}

/**
 * The rules of clients without a token, which only zones have.
 * @param {import('./ui/form.js').Form} form
 * @param {readonly { id: string, name: string }[]} uploaded The uploaded CAs of the account.
 */
export function enrolmentFields(form, uploaded) {
  const names = new Map(uploaded.map(({ id, name }) => [id, name]));
  const ids = new Set([...names.keys(), ...form.values['trustedCas']]);
  return html`<details ?open=${Object.keys(enrolmentOf(form.values, {})).length > 0}>
    <summary>${t.enrolmentSummary}</summary>
    <p class="hint">${t.enrolmentHint}</p>
    <div class="pair">
      ${textField(form, 'enrolmentLifetime', {
        label: t.enrolmentLifetime,
        hint: t.enrolmentLifetimeHint,
        suggestions: ['8h', '1d', '7d', '90d'],
      })}
      ${textField(form, 'revokeReplaced', {
        label: t.revokeReplaced,
        hint: t.revokeReplacedHint,
        suggestions: ['1h', '1d', '7d'],
      })}
    </div>
    ${
      ids.size === 0
        ? html`<p class="hint">${t.noUploadedCas}</p>`
        : checksField(form, 'trustedCas', {
            label: t.trustedCas,
            hint: t.trustedCasHint,
            choices: [...ids].map((id) => [id, named(names.get(id) ?? id)]),
          })
    }
  </details>`;
}

/**
 * @param {import('./ui/form.js').Form} form
 * @param {boolean} isOfToken
 */
export function ruleFields(form, isOfToken) {
  const { values } = form;
  const attributes = [
    ...Object.keys(ATTRIBUTES),
    ...[...values['required'], ...values['forbidden']].filter((name) => !(name in ATTRIBUTES)),
  ];
  const choices = [...new Set(attributes)].map(
    (name) => /** @type {[string, string]} */ ([name, t.attributes[name] ?? name]),
  );
  const types = [...new Set([...KEY_TYPES, ...values['keyTypes']])];
  return html`
    ${areaField(form, 'commonNames', {
      label: t.commonNames,
      hint: t.commonNamesHint,
      placeholder: 'build-*',
    })}
    ${textField(form, 'lifetime', {
      label: t.lifetime,
      hint: t.lifetimeHint,
      suggestions: ['8h', '7d', '90d', '365d'],
    })}
    ${checksField(form, 'keyTypes', {
      label: t.keyTypes,
      hint: t.keyTypesHint,
      choices: types.map((name) => [name, name === 'RSA' ? t.rsaOfAnySize : name]),
    })}
    <div class="pair">
      ${textField(form, 'perDay', { label: t.perDay, hint: t.perDayHint, type: 'number', min: 1 })}
      ${textField(form, 'perName', {
        label: t.perName,
        hint: t.perNameHint,
        type: 'number',
        min: 1,
      })}
    </div>
    <details ?open=${values['required'].size + values['forbidden'].size > 0}>
      <summary>${t.attributesSummary}</summary>
      ${checksField(form, 'required', { label: t.required, choices })}
      ${checksField(form, 'forbidden', { label: t.forbidden, choices })}
      ${
        form.problems?.['forbidden']
          ? html`<p class="problem">${form.problems['forbidden']}</p>`
          : nothing
      }
    </details>
    ${radioField(form, 'names', {
      label: t.alternativeNames,
      choices: [
        [
          'absent',
          isOfToken ? t.namesOfZone : t.namesNone,
          isOfToken ? t.namesOfZoneHint : nothing,
        ],
        ['some', t.namesSome, t.namesSomeHint],
      ],
    })}
    ${
      values['names'] === 'some'
        ? html`<div class="pair">
              ${NAME_KINDS.map((kind) =>
                areaField(form, kind, {
                  label: t.nameKinds[kind] ?? kind,
                  hint: t.nameHints[kind] ?? nothing,
                  rows: 2,
                }),
              )}
            </div>
            ${radioField(form, 'beyond', {
              label: t.beyond,
              choices: [
                ['drop', t.beyondDrop],
                ['reject', t.beyondReject],
              ],
            })}`
        : nothing
    }
  `;
}
