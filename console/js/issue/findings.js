/** The findings of a check, and the rules of a zone, in words. */

import { html, nothing } from '../../vendor/lit-html.js';
import { lifetimeText } from '../issuance-rules.js';
import { text } from '../text.js';
import { named } from '../ui/named.js';
import { notice } from '../ui/notice.js';

/**
 * The rules that a request breaks, or that change its certificate.
 * @param {import('../issuance-rules.js').Finding[]} findings
 */
export function findingNotices(findings) {
  const refused = findings.filter(({ isRefused }) => isRefused);
  const changed = findings.filter(({ isRefused }) => !isRefused);
  const list = (/** @type {import('../issuance-rules.js').Finding[]} */ some) =>
    html`<ul class="sentences">
      ${some.map((finding) => html`<li>${sentence(finding)}</li>`)}
    </ul>`;
  return html`
    ${
      refused.length > 0
        ? notice(
            'error',
            html`<p>${text.rules.broken}</p>
              ${list(refused)}`,
          )
        : nothing
    }
    ${
      changed.length > 0
        ? notice(
            'warning',
            html`<p>${text.rules.changed}</p>
              ${list(changed)}`,
          )
        : nothing
    }
  `;
}

/** @param {import('../issuance-rules.js').Finding} finding */
function sentence({ rule, problem, value, permitted, isOfToken }) {
  const write = text.rules.findings[`${rule}.${problem}`];
  const shown = text.rules.attributes[value] ?? named(value);
  const words = write ? write(shown, named(permitted)) : `${rule}: ${shown}`;
  return isOfToken ? `${words} ${text.rules.ofToken}` : words;
}

/**
 * Rules as sentences.
 * @param {import('../issuance-rules.js').IssuanceRules} rules
 * @returns {string[]}
 */
export function ruleSentences(rules) {
  const t = text.rules.sentences;
  const list = (/** @type {string[] | undefined} */ values) => (values ?? []).map(named).join(', ');
  const attributes = (/** @type {string[]} */ values) =>
    values.map((value) => text.rules.attributes[value] ?? value).join(', ');
  const { alternative_names: names, enrolment } = rules;
  const sentences = [
    rules.common_names &&
      (rules.common_names.length > 0 ? t.commonNames(list(rules.common_names)) : t.corrupt),
    rules.key_types && t.keyTypes(rules.key_types.join(', ')),
    rules.max_lifetime !== undefined && t.maxLifetime(lifetimeText(rules.max_lifetime)),
    rules.required_attributes && t.required(attributes(rules.required_attributes)),
    rules.forbidden_attributes && t.forbidden(attributes(rules.forbidden_attributes)),
    rules.certificates_per_day !== undefined && t.perDay(rules.certificates_per_day),
    rules.active_per_name !== undefined && t.perName(rules.active_per_name),
    names && t.alternativeNames(alternatives(names), names.beyond === 'reject'),
    enrolment?.lifetime !== undefined && t.enrolmentLifetime(lifetimeText(enrolment.lifetime)),
    enrolment?.revoke_replaced_after !== undefined &&
      t.revokeReplaced(lifetimeText(enrolment.revoke_replaced_after)),
    enrolment?.trusted_cas && t.trustedCas(enrolment.trusted_cas.length),
  ];
  return sentences.filter((one) => typeof one === 'string');
}

/**
 * @param {import('../issuance-rules.js').AlternativeNameRules} names
 * @returns {string} empty if none are permitted
 */
function alternatives(names) {
  const kinds = /** @type {const} */ ([
    ['dns', 'DNS'],
    ['email', 'e-mail'],
    ['uri', 'URI'],
    ['ip', 'IP'],
  ]);
  return kinds
    .flatMap(([kind, label]) => (names[kind] ?? []).map((value) => `${label} ${named(value)}`))
    .join(', ');
}
