// Issuance rules: which of them a request breaks. The server decides; `crates/model` has the same
// rules. This module names a violation before the request is sent.

/**
 * The rules of a zone or a token, as the API has them.
 * @typedef {object} IssuanceRules
 * @property {string[]} [common_names]
 * @property {string[]} [required_attributes]
 * @property {string[]} [forbidden_attributes]
 * @property {string[]} [key_types]
 * @property {number} [max_lifetime] seconds
 * @property {number} [certificates_per_day]
 * @property {number} [active_per_name]
 * @property {AlternativeNameRules} [alternative_names]
 * @property {EnrolmentRules} [enrolment] Of zones only.
 */

/**
 * The certificates of clients without a token.
 * @typedef {object} EnrolmentRules
 * @property {number} [lifetime] seconds
 * @property {string[]} [trusted_cas]
 * @property {number} [revoke_replaced_after] seconds
 */

/**
 * @typedef {object} AlternativeNameRules
 * @property {string[]} [dns]
 * @property {string[]} [email]
 * @property {string[]} [uri]
 * @property {string[]} [ip]
 * @property {'drop' | 'reject'} [beyond]
 */

/**
 * The parts of a request that rules limit.
 * @typedef {object} Requested
 * @property {import('./requests/pkcs10.js').Attribute[]} subject
 * @property {string} keyType
 * @property {import('./requests/pkcs10.js').AlternativeName[]} names
 * @property {number} days
 */

/**
 * A rule that a request breaks, or that changes its certificate. The texts are in `text.js`, by
 * `rule` and `problem`.
 * @typedef {object} Finding
 * @property {keyof IssuanceRules} rule
 * @property {string} problem
 * @property {string} value the value in the request
 * @property {string} permitted the values that the rule permits
 * @property {boolean} isRefused false if the certificate is only shorter, or has fewer names
 * @property {boolean} isOfToken the rule is one of the token, not of the zone
 */

const SECONDS_OF_DAY = 86_400;

/**
 * Returns true if a pattern describes a name: each `*` stands for any text, also for none. It takes
 * at most the product of both lengths, whatever a person types.
 * @param {string} pattern
 * @param {string} name
 * @returns {boolean}
 */
export function matches(pattern, name) {
  const [letters, text] = [Array.from(pattern), Array.from(name)];
  let [at, inName] = [0, 0];
  /** @type {{place: number, end: number} | null} the last `*`, and the end of its text */
  let star = null;
  while (inName < text.length) {
    if (letters[at] === '*') {
      star = { place: at, end: inName };
      at += 1;
    } else if (letters[at] === text[inName] && at < letters.length) {
      at += 1;
      inName += 1;
    } else if (star !== null) {
      star.end += 1;
      at = star.place + 1;
      inName = star.end;
    } else {
      return false;
    }
  }
  return letters.slice(at).every((letter) => letter === '*');
}

/**
 * Returns true if a key is of a type of a rule. `RSA` includes every size.
 * @param {string} permitted
 * @param {string} keyType
 */
export function includesKey(permitted, keyType) {
  const [rule, key] = [permitted.toLowerCase(), keyType.toLowerCase()];
  return rule === key || (rule === 'rsa' && key.startsWith('rsa-'));
}

/**
 * Returns the days of the longest `validity_days`: a day that has begun counts.
 * @param {number} seconds
 */
export function daysBegun(seconds) {
  return Math.ceil(seconds / SECONDS_OF_DAY);
}

/**
 * Writes a length of time with the largest unit that divides it, as the command line does.
 * @param {number} seconds
 */
export function lifetimeText(seconds) {
  for (const [unit, name] of /** @type {[number, string][]} */ ([
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'm'],
  ])) {
    if (seconds % unit === 0) {
      return `${seconds / unit}${name}`;
    }
  }
  return `${seconds}s`;
}

/**
 * Reads a length of time such as `8h`, `90d` or `12w`. `null` for another text, and for less than
 * an hour or more than a hundred years.
 * @param {string} text
 * @returns {number | null} seconds
 */
export function lifetimeSeconds(text) {
  const found = /^(\d{1,9})([mhdw])$/.exec(text.trim());
  if (found === null) {
    return null;
  }
  const units = { m: 60, h: 3_600, d: 86_400, w: 604_800 };
  const seconds = Number(found[1]) * units[/** @type {'m' | 'h' | 'd' | 'w'} */ (found[2])];
  return seconds >= 3_600 && seconds <= 100 * 366 * 86_400 ? seconds : null;
}

/**
 * Lists the rules of a zone and of a token that a request breaks: both hold.
 * @param {IssuanceRules} ofZone
 * @param {IssuanceRules | null} ofToken
 * @param {Requested} requested
 * @returns {Finding[]}
 */
export function checkBoth(ofZone, ofToken, requested) {
  const found = check(ofZone, requested, false);
  const same = (/** @type {Finding} */ one, /** @type {Finding} */ other) =>
    one.rule === other.rule && one.problem === other.problem && one.value === other.value;
  const more = ofToken === null ? [] : check(ofToken, requested, true);
  return [...found, ...more.filter((one) => !found.some((other) => same(one, other)))];
}

/**
 * Lists the rules that a request breaks. Rules that count certificates are left to the server.
 * @param {IssuanceRules} rules
 * @param {Requested} requested
 * @param {boolean} isOfToken
 * @returns {Finding[]}
 */
export function check(rules, requested, isOfToken = false) {
  /** @type {Finding[]} */
  const findings = [];
  const commonNames = requested.subject
    .filter(({ name }) => name === 'common_name')
    .map(({ value }) => value);
  const has = (/** @type {string} */ attribute) =>
    requested.subject.some(({ name }) => name === attribute);
  const list = (/** @type {string[]} */ values) => values.join(', ');
  /**
   * @param {keyof IssuanceRules} rule
   * @param {string} problem
   * @param {string} value
   * @param {string} permitted
   */
  const add = (rule, problem, value, permitted, isRefused = true) => {
    findings.push({ rule, problem, value, permitted, isRefused, isOfToken });
  };

  if (rules.common_names !== undefined) {
    const [first, ...others] = commonNames;
    if (first === undefined) {
      add('common_names', 'absent', '', list(rules.common_names));
    } else if (others.length > 0) {
      add('common_names', 'several', String(commonNames.length), list(rules.common_names));
    } else if (!rules.common_names.some((pattern) => matches(pattern, first))) {
      add('common_names', 'other', first, list(rules.common_names));
    }
  }
  if (rules.active_per_name !== undefined && commonNames.length !== 1) {
    const problem = commonNames.length === 0 ? 'absent' : 'several';
    add('active_per_name', problem, String(commonNames.length), '1');
  }
  for (const attribute of rules.required_attributes ?? []) {
    if (!has(attribute)) {
      add('required_attributes', 'absent', attribute, list(rules.required_attributes ?? []));
    }
  }
  for (const attribute of rules.forbidden_attributes ?? []) {
    if (has(attribute)) {
      add('forbidden_attributes', 'present', attribute, '');
    }
  }
  const types = rules.key_types;
  if (types !== undefined && !types.some((type) => includesKey(type, requested.keyType))) {
    add('key_types', 'other', requested.keyType, list(types));
  }
  const longest = rules.max_lifetime;
  if (longest !== undefined) {
    const permitted = `${daysBegun(longest)} (${lifetimeText(longest)})`;
    if (requested.days > daysBegun(longest)) {
      add('max_lifetime', 'longer', String(requested.days), permitted);
    } else if (requested.days * SECONDS_OF_DAY > longest) {
      add('max_lifetime', 'shortened', String(requested.days), lifetimeText(longest), false);
    }
  }
  // Without a rule of the zone, a certificate has only its subject. A token without one leaves
  // names to the zone, unless it has permitted common names: others would be a way around them.
  const isOpen = isOfToken && rules.common_names === undefined;
  const names = rules.alternative_names ?? (isOpen ? null : {});
  for (const name of names === null ? [] : requested.names) {
    if (names !== null && !permits(names, name)) {
      const isRefused = names.beyond === 'reject';
      add('alternative_names', isRefused ? 'rejected' : 'dropped', name.value, '', isRefused);
    }
  }
  return findings;
}

/**
 * @param {AlternativeNameRules} rules
 * @param {import('./requests/pkcs10.js').AlternativeName} name
 */
function permits(rules, { kind, value }) {
  switch (kind) {
    case 'dns': {
      const lower = value.toLowerCase();
      return (rules.dns ?? []).some((pattern) => matches(pattern.toLowerCase(), lower));
    }
    case 'email':
      return (rules.email ?? []).some((pattern) => matches(pattern, value));
    case 'uri':
      return (rules.uri ?? []).some((pattern) => matches(pattern, value));
    case 'ip':
      // The browser leaves blocks of addresses to the server: a name is not called dropped here
      // unless no block exists.
      return (rules.ip ?? []).length > 0;
    default:
      return false;
  }
}
