/** All English text of the console, one constant for each page. */

/** @param {number} number */
export function count(number) {
  return number.toLocaleString('en');
}

/**
 * @param {number} number
 * @param {string} one
 * @param {string} many
 */
export function plural(number, one, many) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** @param {readonly string[]} words */
export function list(words) {
  return new Intl.ListFormat('en', { type: 'conjunction' }).format(words);
}

const shell = {
  brand: 'certgate',
  skip: 'Skip to the page',
  menu: 'Menu',
  navigation: 'Pages',
  signOut: 'Sign out',
  zone: 'Zone',
  noZone: 'This token sees no zone',
  /** @type {(shown: number, all: number) => string} */
  moreZones: (shown, all) => `${count(shown)} of ${count(all)} zones`,
  /** @type {(title: string) => string} */
  documentTitle: (title) => `${title} · certgate`,
  noPageTitle: 'Page not found',
  noPage: 'The console has no page at this address. Choose one from the navigation.',
  noSuchZoneTitle: 'Zone not found',
  /** @type {(zone: string) => string} */
  noSuchZone: (zone) =>
    `Your token does not see the zone ${zone} of this link. Sign in with another token, or ` +
    'choose a page from the navigation.',
  staleTitle: 'The console was updated',
  stale: 'The server has another version of the console now. Load it to continue.',
  reload: 'Load the new version',
  /** @type {(permissions: readonly string[]) => string} */
  lacks: (permissions) =>
    `Your token may not open this page: it lacks the permission ${list(permissions)}. Sign in ` +
    'with another token, or ask an administrator to add it.',
  invalidToken:
    'You were signed out, because the server does not accept your token any more: it has ended, ' +
    'was disabled or deleted, or does not allow your address. Sign in with another token.',
  lost: 'No connection to the server. The console tries again until it answers.',
  /** @type {(seconds: number) => string} */
  busy: (seconds) => `The server is busy. The console tries again in ${seconds} s.`,
  lostChange:
    'The connection broke before the server answered, so the change may have been made. Look ' +
    'before you repeat it.',
  /** @type {(status: number) => string} */
  errorWithoutMessage: (status) => `The server answered with status ${status} and no message.`,
  errorTitle: 'This did not work',
  /** @type {(code: number) => string} */
  errorCode: (code) => `Error ${code}`,
  /** @type {(id: string) => string} */
  errorRequest: (id) => `request ${id}`,
  errorHelp: 'What this error means',
  leaveTitle: 'Leave this page?',
  leaveBody: 'What you started here stops when you leave.',
  leaveAction: 'Leave',
};

const signIn = {
  title: 'Sign in to certgate',
  token: 'API token',
  hint: 'The console sends it to this server only, and forgets it when you sign out or reload.',
  remember: 'Remember it until I close this tab',
  action: 'Sign in',
  empty: 'Paste an API token.',
  /** @type {(characters: number) => string} */
  tooLong: (characters) => `A token has at most ${characters} characters: paste the token only.`,
  notAToken: 'This text has characters that no token has: paste the token only.',
  /** @type {(message: string) => string} */
  refused: (message) => `The server does not accept this token (“${message}”). Check that you ` +
    'pasted all of it, and that it has not ended.',
  failed: 'Signing in failed for another reason than your token:',
  noToken: 'I have no token',
  noTokenFirst: 'The first start of the server printed one, and stored it in client.toml.',
  noTokenHow: 'On the machine of the server, this command creates another one:',
  commandLabel: 'Command that creates a token',
};

/** Words that several pages show. */
const common = {
  actions: 'Actions',
  cancel: 'Cancel',
  close: 'Close',
  loading: 'Loading…',
  copy: 'Copy',
  copied: 'Copied',
  copyFailed: 'Select the text and copy it',
  curl: 'curl',
  cli: 'certgate',
  /** @type {(first: number, last: number, total: number, isExact: boolean) => string} */
  range: (first, last, total, isExact) =>
    `${count(first)}–${count(last)} of ${isExact ? '' : 'more than '}${count(total)}`,
  rangeEmpty: 'No matches',
  pages: 'Pages of the list',
  firstPage: 'First page',
  previousPage: 'Previous page',
  nextPage: 'Next page',
  lastPage: 'Last page',
  page: 'Page',
  /** @type {(pages: number) => string} */
  ofPages: (pages) => `of ${count(pages)}`,
  /** @type {(label: string) => string} */
  removeFilter: (label) => `Remove the filter ${label}`,
  filters: 'Filters',
  /** @type {(done: number, all: number) => string} */
  progress: (done, all) => `${count(done)} of ${count(all)}`,
  noName: '(no name)',
  showAll: 'Show all of it',
  /** @type {(utc: string) => string} */
  utc: (utc) => `${utc} UTC`,
  never: 'never',
  today: 'today',
  status: {
    active: 'Active',
    pending_revocation: 'Being revoked',
    revoked: 'Revoked',
    pending_reactivation: 'Being restored',
    expired: 'Expired',
  },
  replaced: 'Replaced',
};

const overview = {
  title: 'Overview',
  attention: 'Needs attention',
  good: 'Everything is in order.',
  totals: 'Certificates by status',
  /** @type {(number: number) => string} */
  replaced: (number) =>
    `${plural(number, 'certificate', 'certificates')} that a renewal replaced ` +
    `${number === 1 ? 'does' : 'do'} not count here`,
  none: 'This zone has no certificates yet',
  noneHow: 'Issue the first one here, or on the command line:',
  issue: 'Issue a certificate',
  command: 'Command',
  expiry: 'Expiry in the next 12 months',
  /** @type {(total: number) => string} */
  expirySummary: (total) =>
    total === 0
      ? 'No certificate that is not revoked expires in the next 12 months.'
      : `${plural(total, 'certificate', 'certificates')} that ${
          total === 1 ? 'is' : 'are'
        } not revoked will expire. A larger square is a day with more certificates, in UTC.`,
  /** @type {(day: string, number: number) => string} */
  expiryDay: (day, number) =>
    `${day}: ${plural(number, 'certificate expires', 'certificates expire')}`,
  byMonth: 'By month',
  /** @type {(month: string, number: number) => string} */
  monthLink: (month, number) => `${month}: ${plural(number, 'certificate', 'certificates')}`,
  activity: 'Issued and revoked in 90 days',
  /** @type {(issued: number, revoked: number) => string} */
  activitySummary: (issued, revoked) =>
    `${count(issued)} issued (plain bars, upwards) and ${count(revoked)} revoked (striped bars, ` +
    'downwards), by UTC day. Certificates that were restored do not count as revoked.',
  /** @type {(day: string, issued: number, revoked: number) => string} */
  activityDay: (day, issued, revoked) =>
    `${day}: ${count(issued)} issued, ${count(revoked)} revoked`,
  issued: 'issued',
  revoked: 'revoked',
  authorities: 'CAs',
  authorityNone: 'The first certificate makes the CA of this account.',
  authority: 'CA',
  state: 'State',
  /** @type {Record<string, string>} */
  states: {
    active: 'Active',
    prepared: 'Prepared',
    superseded: 'Superseded',
    retired: 'Retired',
  },
  certificates: 'Certificates',
  expires: 'Expires',
  crl: 'Latest CRL',
  crlNone: 'not published yet',
  crlEnded: 'not published any more',
  points: 'Enforcement points',
  pointsNone: 'No enforcement point is registered',
  pointsNoneHow:
    'Only verifiers that read CRLs or ask OCSP refuse revoked certificates now. A gateway in ' +
    'front of your service refuses them within a second:',
  point: 'Name',
  pointState: 'State',
  /** @type {Record<string, string>} */
  pointStates: { current: 'Up to date', lagging: 'Behind', silent: 'Silent' },
  lag: 'Lag',
  lagNone: 'none',
  /** @type {(changes: number) => string} */
  lagBy: (changes) => plural(changes, 'change', 'changes'),
  seen: 'Last heard from',
  all: 'Show all',
  /** @type {(permission: string) => string} */
  hidden: (permission) => `Your token may not see this: it lacks the permission ${permission}.`,
  /** @type {(name: string, ends: string) => string} */
  caEnds: (name, ends) =>
    `The active CA “${name}” expires ${ends}. No new certificate can outlive it. Rotate it now:`,
  caRotate: 'Open the CAs',
  /** @type {(name: string, ends: string) => string} */
  crlEnds: (name, ends) =>
    `A CRL of the CA “${name}” ends ${ends}, and should have been renewed before. Then verifiers ` +
    'refuse every client. Read the log of the server, and check the database:',
  /** @type {(names: readonly string[]) => string} */
  silent: (names) =>
    `${plural(names.length, 'enforcement point', 'enforcement points')} (${list(names)}) ${
      names.length === 1 ? 'has' : 'have'
    } not been heard from within the lease. Changes do not wait for them. Start them again, or ` +
    'remove those that are gone:',
  /** @type {(names: readonly string[], pending: number) => string} */
  lagging: (names, pending) =>
    `${
      pending > 0 ? plural(pending, 'change waits', 'changes wait') : 'The latest change waits'
    } for ${list(names)} to confirm. If this lasts for minutes, check the connection to this ` +
    'server:',
  /** @type {(pending: number) => string} */
  pending: (pending) =>
    `${plural(pending, 'change is', 'changes are')} not in every CRL yet. If this lasts for ` +
    'minutes, read the log of the server:',
  openPoints: 'Open the enforcement points',
  showPending: 'Show them',
  /** @type {(number: number, days: number) => string} */
  expiring: (number, days) => {
    const expire = plural(number, 'certificate expires', 'certificates expire');
    return (
      `${expire} in the next ${days} days, and no renewal has replaced ` +
      `${number === 1 ? 'it' : 'them'}. Issue new ones to their owners in time:`
    );
  },
  showExpiring: 'Show them',
  /** @type {(ends: string) => string} */
  tokenEnds: (ends) => `Your token ends ${ends}. Create another one before:`,
  openTokens: 'Open the tokens',
  /** @type {(number: number) => string} */
  uncounted: (number) =>
    `${plural(number, 'certificate is', 'certificates are')} not in the calendars yet: the ` +
    'server still counts them after an upgrade. This page updates itself.',
  /** @type {(number: number) => string} */
  more: (number) => `${count(number)} more`,
  backupNever: 'This server has never been backed up. Copy its database now, and then once a day:',
  /** @type {(when: string) => string} */
  backupOld: (when) => `The last backup was made ${when}. Make one once a day:`,
  checkNever: 'The database has never been checked. Check it once a month:',
  /** @type {(when: string) => string} */
  checkOld: (when) => `The last check of the database was ${when}. Check it once a month:`,
  /** @type {(problems: number, when: string) => string} */
  checkProblems: (problems, when) =>
    `The last check of the database (${when}) found ${plural(problems, 'problem', 'problems')}. ` +
    'Run it again, and do what it says:',
  cleartext:
    'This page came without encryption from another machine, so others in the network can read ' +
    'your token. Set tls_certificate and tls_key on the server, or use a TLS proxy.',
};

/** Kinds of times of a certificate. */
const TIMES = { expires: 'Expires', issued: 'Issued', revoked: 'Revoked' };

const certificates = {
  title: 'Certificates',
  search: 'Search certificates',
  placeholder: 'Name, serial number, fingerprint, ID or pasted certificate',
  status: 'Status',
  statuses: {
    active: 'Active',
    pending_revocation: 'Being revoked',
    revoked: 'Revoked',
    pending_reactivation: 'Being restored',
    all: 'All',
  },
  replaced: { false: 'Hidden', all: 'Shown', true: 'Only these' },
  replacedHint: 'Certificates that a renewal replaced. They work until they end or are revoked.',
  filters: 'Dates and CA',
  issue: 'Issue…',
  authority: 'CA',
  anyAuthority: 'Any CA',
  times: TIMES,
  from: 'From',
  until: 'Until',
  /** @type {(days: number) => string} */
  days: (days) => {
    if (days === -1) return 'Today';
    return days > 0 ? `Next ${days} days` : `Last ${-days} days`;
  },
  expired: 'Already expired',
  chip: {
    /** @type {(parameter: string, value: string) => string} */
    name: (parameter, value) => {
      const verbs = {
        common_name: 'is',
        'common_name.startswith': 'begins with',
        'common_name.contains': 'contains',
      };
      return `Name ${verbs[/** @type {keyof typeof verbs} */ (parameter)]} “${value}”`;
    },
    /** @type {(value: string) => string} */
    id: (value) => `ID begins with ${value}`,
    /** @type {(value: string) => string} */
    serial: (value) => `Serial number ${value}`,
    /** @type {(value: string) => string} */
    fingerprint: (value) => `Fingerprint ${value}`,
    /** @type {(value: string) => string} */
    authority: (value) => `CA ${value}`,
    /** @type {(kind: 'expires' | 'issued' | 'revoked', begin: string, end: string) => string} */
    times: (kind, begin, end) =>
      [TIMES[kind], begin, end].filter(Boolean).join(' '),
    /** @type {(day: string) => string} */
    from: (day) => `from ${day}`,
    /** @type {(day: string) => string} */
    until: (day) => `until ${day}`,
    /** @type {(time: string) => string} */
    after: (time) => `after ${time}`,
    /** @type {(time: string) => string} */
    before: (time) => `before ${time}`,
  },
  containInstead: 'Show names that contain it, too',
  problem: {
    privateKey:
      'This is a private key, not a certificate. The console removed it, and did not send it. ' +
      'Paste the certificate: the text from BEGIN CERTIFICATE to END CERTIFICATE.',
    request:
      'This is a certificate request, not a certificate. Search for the name in it, or issue a ' +
      'certificate for it on the page “Issue a certificate”.',
    malformed:
      'This certificate is incomplete or malformed. Copy it again, from the line BEGIN ' +
      'CERTIFICATE to the line END CERTIFICATE.',
    tooLong: 'This text is longer than any name or certificate. Paste one certificate only.',
    star: 'A * may stand at the end of a name, or at both ends: laptop-* or *top*.',
  },
  pastedFound: 'This is the certificate that you pasted.',
  pastedUnknown: 'This zone has no certificate with the serial number of the one that you pasted.',
  pastedOther:
    'A certificate of this zone has the same serial number, but it is not the one that you ' +
    'pasted: another CA signed that one.',
  open: 'Open it',
  selection: 'Chosen certificates',
  /** @type {(number: number) => string} */
  selected: (number) => `${count(number)} chosen`,
  revoke: 'Revoke…',
  restore: 'Restore…',
  mayNotChange:
    'Your token lacks a permission to change them: Client Certificates Revoke or Restore.',
  clear: 'Choose none',
  export: 'Export CSV',
  exporting: 'Writing the file',
  exported: 'The file is complete',
  changing: 'The certificates change faster than they can be listed. Try again later.',
  perPage: 'Per page',
  bulk: 'Bulk action…',
  choose: 'Choose',
  choosePage: 'Choose all on this page',
  /** @type {(name: string) => string} */
  chooseOne: (name) => `Choose ${name}`,
  /** @type {(max: number) => string} */
  tooManyChosen: (max) =>
    `You can choose ${count(max)} certificates. For more, use a bulk action on a search.`,
  name: 'Name',
  expires: 'Expires',
  issued: 'Issued',
  serial: 'Serial number',
  /** @type {(total: number, isCapped: boolean) => string} */
  found: (total, isCapped) =>
    isCapped
      ? `More than ${count(total)} certificates`
      : plural(total, 'certificate', 'certificates'),
  /** @type {(number: number) => string} */
  someFound: (number) => `${plural(number, 'certificate', 'certificates')} found so far`,
  /** @type {(number: number, areMore: boolean, why: 'status' | 'replaced' | 'either') => string} */
  others: (number, areMore, why) => {
    const reasons = {
      status: ' with another status',
      replaced: '',
      either: ' with another status, or replaced',
    };
    const others = plural(number, 'other', 'others');
    return `Show ${areMore ? 'at least ' : ''}${others}${reasons[why]}`;
  },
  searchingOn: 'Nothing found yet. The server continues to search…',
  stoppedEarly:
    'The server stopped at its limit of work: it may have more matches. Continue the search, or ' +
    'add a condition to make it shorter.',
  continueSearch: 'Continue the search',
  /** @type {(max: number) => string} */
  capped: (max) =>
    `More than ${count(max)} certificates match. The pages have the first ${count(max)} of them. ` +
    'Add a condition to see the others. An export and a bulk action have all of them.',
  /** @type {(max: number) => string} */
  beyond: (max) =>
    `The pages of a search end after ${count(max)} matches. Add a condition to see the others.`,
  /** @type {(max: number) => string} */
  tooManyToOrder: (max) =>
    `More than ${count(max)} certificates match, too many for this order. Add a condition, such ` +
    'as the beginning of the name, or use the usual order.',
  usualOrder: 'Usual order',
  again: 'Try again',
  noSuchPage: 'The list ends before this page',
  /** @type {(status: string, isAll: boolean) => string} */
  noMatch: (status, isAll) =>
    isAll ? 'No certificate matches' : `No certificate with the status “${status}” matches`,
  noMatchHint: 'Check the spelling, or remove a condition.',
  removeFilters: 'Remove all filters',
  noneActive: 'This zone has no active certificate',
  noneOfStatus: 'No certificate has this status',
};

const certificate = {
  title: 'Certificate',
  toList: '← All certificates',
  missing: 'This zone has no certificate with this ID',
  findBeginning: 'Find IDs that begin with it',
  undo: 'Undo',
  fields: 'Certificate',
  history: 'History',
  decoded: 'Decoded from the certificate',
  files: 'Files',
  why: 'Why?',
  /** @type {Record<string, { label: string, hint: string }>} */
  reasons: {
    hold: { label: 'Not sure yet, or only for a while', hint: 'For example, a laptop is missing.' },
    deviceLost: { label: 'Device lost or stolen', hint: 'It will not come back.' },
    keyStolen: { label: 'Key stolen or copied', hint: 'Someone else may have the private key.' },
    replaced: { label: 'Replaced', hint: 'The holder has a newer certificate.' },
    notUsed: { label: 'No longer used', hint: 'The device or service was shut down.' },
    left: { label: 'Holder left or moved', hint: 'The names in the certificate are not true now.' },
    notAllowed: { label: 'Not allowed any more', hint: 'The holder lost the right to access.' },
    caStolen: { label: 'Key of the CA stolen', hint: 'The CA itself is not trusted any more.' },
    other: { label: 'Another reason', hint: '' },
  },
  canBeUndone: 'can be undone',
  isFinal: 'final',
  undoBefore: 'You can undo this: the certificate is put on hold, and you can restore it later.',
  finalBefore: 'You CANNOT undo this: the revocation is final. The holder needs a new certificate.',
  /** @type {(reason: string) => string} */
  reasonWords: (reason) => {
    const all = {
      certificateHold: 'on hold',
      keyCompromise: 'key stolen or device lost',
      superseded: 'replaced',
      cessationOfOperation: 'no longer used',
      affiliationChanged: 'holder left or moved',
      privilegeWithdrawn: 'not allowed any more',
      cACompromise: 'key of the CA stolen',
      unspecified: 'no reason given',
    };
    return all[/** @type {keyof typeof all} */ (reason)] ?? reason;
  },
  /** @type {(isExpired: boolean) => string} */
  expires: (isExpired) => (isExpired ? 'expired' : 'expires'),
  revoke: 'Revoke…',
  makeFinal: 'Make the revocation final…',
  restore: 'Restore',
  /** @type {(name: string) => string} */
  revokeTitle: (name) => `Revoke ${name}`,
  revokeNow: 'Revoke',
  revokeFinally: 'Revoke for good',
  /** @type {(permissions: readonly string[]) => string} */
  lacks: (permissions) => `Your token may not do more here: it lacks ${list(permissions)}.`,
  cannotUndo: 'This revocation is final. To give access again, issue a new certificate.',
  /** @type {(isFinal: boolean) => string} */
  revoked: (isFinal) =>
    isFinal
      ? 'Revoked for good. OCSP says so from now on.'
      : 'Revoked and put on hold. OCSP says so from now on. To undo it, restore the certificate.',
  restored: 'Restored. OCSP says so from now on.',
  restoreCommand: 'Restore on the command line',
  revokeCommand: 'The same on the command line',
  readCommand: 'Read it on the command line',
  refusing: 'Where it is refused',
  admitting: 'Where it is admitted',
  pending: 'The change is durable. It is not yet in every list and at every enforcement point.',
  /** @type {(isRevocation: boolean) => string} */
  settled: (isRevocation) =>
    isRevocation
      ? 'Settled: every revocation list has it, and every live enforcement point refuses it.'
      : 'Settled: no revocation list has it any more, and every live enforcement point admits it.',
  pointsHidden: 'Your token may not see the enforcement points (Enforcement Points Read).',
  noPoints: 'The account has no enforcement points: only CRLs and OCSP report the change.',
  point: 'Enforcement point',
  pointState: 'State',
  after: 'Within',
  covers: 'Covers',
  seen: 'Last seen',
  refuses: 'Refuses it',
  admits: 'Admits it',
  waiting: 'Not confirmed yet',
  silent: 'Silent, not waited for',
  /** @type {(seconds: number) => string} */
  seconds: (seconds) => `${seconds.toFixed(1)} s`,
  /** @type {(word: string) => string} */
  coverage: (word) => {
    const all = {
      connections: 'open connections',
      requests: 'every request',
      handshakes: 'new connections',
    };
    return all[/** @type {keyof typeof all} */ (word)] ?? word;
  },
  commonName: 'Name (CN)',
  organization: 'Organization (O)',
  organizationalUnit: 'Unit (OU)',
  location: 'Location (L)',
  region: 'State (ST)',
  country: 'Country (C)',
  validFrom: 'Valid from',
  validTo: 'Valid until',
  validity: 'Validity',
  /** @type {(number: number) => string} */
  days: (number) => plural(number, 'day', 'days'),
  authority: 'CA',
  id: 'ID',
  serial: 'Serial number',
  fingerprint: 'Fingerprint (SHA-256)',
  ski: 'Subject key ID',
  signature: 'Signed with',
  subject: 'Subject',
  issuer: 'Issuer',
  key: 'Key',
  critical: 'critical',
  /** @type {(name: string) => string} */
  extension: (name) => {
    const all = {
      subjectKeyIdentifier: 'Subject key ID',
      authorityKeyIdentifier: 'Key ID of the CA',
      keyUsage: 'Key usage',
      extKeyUsage: 'Extended key usage',
      basicConstraints: 'Basic constraints',
      subjectAltName: 'Alternative names',
      cRLDistributionPoints: 'Revocation list',
      authorityInfoAccess: 'OCSP and CA',
      certificatePolicies: 'Policies',
    };
    return all[/** @type {keyof typeof all} */ (name)] ?? name;
  },
  notDecoded: 'The console cannot decode this certificate.',
  downloadPem: 'Download certificate',
  downloadChain: 'Download with CA',
  downloadCsr: 'Download request',
  mayNotReadCas: 'Your token may not download the CA: it lacks Account Settings Read.',
  copyPem: 'Copy the certificate as PEM',
  showPem: 'Show PEM',
  noChain: 'The account has no managed CA with the ID of this certificate’s CA.',
  /** @type {(title: string) => string} */
  copyField: (title) => `Copy: ${title}`,
  /** @type {(number: number) => string} */
  allEvents: (number) => `Show all ${count(number)} events`,
  /** @type {(action: string) => string} */
  action: (action) => {
    const all = {
      issued: 'Issued',
      revoked: 'Revoked',
      restored: 'Restored',
      settled: 'Settled everywhere',
    };
    return all[/** @type {keyof typeof all} */ (action)] ?? action;
  },
  /** @type {(type: string) => string} */
  actor: (type) => {
    const all = {
      token: 'by the token',
      api_key: 'by the API key of',
      system: 'by certgate itself',
      offline: 'on the server’s machine',
      certificate: 'by the holder of the certificate',
      mtls_certificate: 'by a client of the uploaded CA',
      invite: 'with the invite',
    };
    return all[/** @type {keyof typeof all} */ (type)] ?? type;
  },
  line: 'Renewals',
  replacedBy: 'Replaced by',
  replaces: 'Replaces',
  issued: 'issued',
  /** @type {(doesWork: boolean) => string} */
  isReplaced: (doesWork) =>
    doesWork
      ? 'A newer certificate replaced this one. It still works until it expires or is revoked.'
      : 'A newer certificate replaced this one.',
  olderWorks:
    'The certificate that this one replaced still works. If the device is lost, revoke both.',
  auditLog: 'Its entries in the audit log',
  /** @type {(number: number) => string} */
  entry: (number) => `audit entry ${count(number)}`,
};

/** The actions of a bulk action. */
const ACTIONS = { revoke: 'Revoke', restore: 'Restore' };

const bulk = {
  title: 'Bulk action',
  steps: ['Search', 'Preview', 'Progress', 'Result'],
  action: 'Action',
  actions: ACTIONS,
  intro:
    'Find the certificates first. Nothing changes before you have seen and confirmed the list.',
  /** @type {(number: number, isCapped: boolean) => string} */
  matches: (number, isCapped) =>
    `${isCapped ? 'More than ' : ''}${plural(number, 'certificate matches', 'certificates match')}`,
  someMatch: 'Some certificates match. The preview finds all of them.',
  noMatch: 'No certificate matches that this action changes',
  /** @type {(number: number, isCapped: boolean) => string} */
  replacedLeftOut: (number, isCapped) => {
    const [one, many] = ['replaced certificate matches', 'replaced certificates match'];
    const matches = `${isCapped ? 'More than ' : ''}${plural(number, one, many)}`;
    return `${matches} too. A replaced certificate works until it ends or is revoked.`;
  },
  includeReplaced: 'Include replaced ones',
  preview: 'Preview',
  listing: 'Making the list',
  /** @type {(number: number) => string} */
  listed: (number) => `${plural(number, 'certificate', 'certificates')} so far`,
  selectionGone: 'The chosen certificates are not known any more. Choose them again.',
  toList: 'Choose certificates',
  /** @type {(number: number) => string} */
  leftOut: (number) =>
    `${plural(number, 'chosen certificate is', 'chosen certificates are')} left out, because the ` +
    'action does not change certificates with their status.',
  /** @type {(action: 'revoke' | 'restore', number: number) => string} */
  previewTitle: (action, number) =>
    `${ACTIONS[action]} ${plural(number, 'certificate', 'certificates')}?`,
  conditions: 'Conditions',
  /** @type {(number: number) => string} */
  chosen: (number) => `${plural(number, 'certificate', 'certificates')} chosen one by one`,
  first: 'The first of them',
  /** @type {(number: number) => string} */
  more: (number) => `and ${count(number)} more`,
  showAll: 'Show them all',
  points: 'Enforcement points that enforce the change',
  back: 'Back to the search',
  /** @type {(number: number, action: 'revoke' | 'restore') => string} */
  confirm: (number, action) =>
    `Type the number of certificates (${count(number)}) to ${action} them`,
  /** @type {(action: 'revoke' | 'restore', number: number) => string} */
  start: (action, number) =>
    `${ACTIONS[action]} ${plural(number, 'certificate', 'certificates')}`,
  wrongNumber: 'This is not the number of certificates in the list.',
  restoreBefore: 'You can undo this: the certificates can be revoked again.',
  finalRestore: 'Certificates that were revoked for a final reason stay revoked.',
  leave: 'Leaving the page stops the action. You can continue it when you come back.',
  unfinished:
    'This action was not finished. It continues with exactly the certificates that are left.',
  running: { revoke: 'Revoking', restore: 'Restoring' },
  busy: 'The server is busy. The action continues when it answers.',
  lost:
    'The server does not answer. The action continues when it answers, with exactly those left.',
  stop: 'Stop',
  resume: 'Continue',
  retry: 'Try the refused ones again',
  /** @type {(seconds: number) => string} */
  remaining: (seconds) =>
    seconds < 90
      ? `about ${count(Math.ceil(seconds))} s left`
      : `about ${count(Math.ceil(seconds / 60))} min left`,
  done: { revoke: 'Revoked', restore: 'Restored' },
  unchanged: { revoke: 'Revoked before', restore: 'Restored before' },
  failed: 'Refused by the server',
  left: 'Left',
  /** @type {(action: 'revoke' | 'restore', number: number) => string} */
  finished: (action, number) =>
    `${plural(number, 'certificate', 'certificates')} ` +
    (action === 'revoke' ? 'revoked.' : 'restored.'),
  where: { revoke: 'Where they are refused', restore: 'Where they are admitted' },
  problems: 'Refused certificates',
  problem: 'Answer of the server',
  /** @type {(number: number) => string} */
  undo: (number) => `Undo: ${plural(number, 'certificate', 'certificates')}`,
  undoTitle: 'Undo this action?',
  /** @type {(action: 'revoke' | 'restore', number: number) => string} */
  undoBody: (action, number) =>
    `${action === 'revoke' ? 'Restores' : 'Revokes'} exactly the ` +
    `${plural(number, 'certificate', 'certificates')} that this action changed, and no other.`,
  undoFinal: 'You cannot undo this action, because its reason is final.',
  undoAction: 'Undo',
  again: 'Another bulk action',
  save: 'Save the record',
  saveHint:
    'The file has the list and the outcome of each certificate. Open it here, or give it to ' +
    'certgate, to continue or undo the action later.',
  open: 'Open a saved record',
  openHint:
    'To continue or undo an earlier action, of this page or of certgate cert revoke --match.',
  /** @type {(line: number) => string} */
  notARecord: (line) => `This file is not the record of an action: its line ${line} is malformed.`,
  tooLarge: 'This file is larger than any record of an action.',
  /** @type {(server: string) => string} */
  otherServer: (server) =>
    `This file records an action on another server or in another zone (${server}): open it there.`,
  commands: 'The same on the command line',
  commandHint: 'The curl command changes one certificate. certgate makes and asks about the list.',
};

const issue = {
  title: 'Issue a certificate',
  source: 'Where does the key come from?',
  sourceCsr: 'I have a certificate signing request (CSR)',
  sourceCsrHint: 'The key stays on the machine that made the request.',
  sourceKey: 'Create the key and the request in this browser',
  sourceKeyHint: 'The private key never leaves the browser. You save it as a file.',
  csr: 'Certificate signing request',
  csrHint: 'Paste it, or drop the file here: PEM, Base64 or DER.',
  chooseFile: 'Choose a file…',
  fileTooLarge: 'The file is larger than 64 KiB. A request has less than 16 KiB.',
  contents: 'In this request',
  subject: 'Subject',
  noSubject: 'Empty: the certificate will have no name',
  /** @type {Record<string, string>} */
  nameKinds: {
    dns: 'DNS name',
    email: 'E-mail address',
    uri: 'URI',
    ip: 'IP address',
    other: 'Other name',
  },
  keyType: 'Key',
  signature: 'Signature',
  signatureValid: 'Made with this key',
  signatureInvalidShort: 'Not made with this key',
  signatureUnknown: 'This browser cannot verify it. The server does.',
  signatureInvalid:
    'The signature does not match the key: the file was changed, or signed with another key. ' +
    'Create the request again.',
  /** @type {Record<string, (value: string) => string>} */
  problems: {
    private_key: () =>
      'This is a private key. It was not sent. Keep it on its machine, and paste the request ' +
      '(BEGIN CERTIFICATE REQUEST) that belongs to it.',
    too_large: (bytes) => `The request has ${bytes} bytes. At most 16,384 are accepted.`,
    cut_off: () => 'A line -----BEGIN … or -----END … is missing. Paste the whole file.',
    not_pem: () =>
      'This is not a request. It begins with the line -----BEGIN CERTIFICATE REQUEST-----.',
    several: () => 'There are several PEM blocks. Paste one request.',
    wrong_label: (label) => `This is a ${label}, not a CERTIFICATE REQUEST.`,
    not_base64: () => 'The lines between BEGIN and END are not Base64. Paste the file unchanged.',
    malformed: () => 'The request is malformed. Create it again: openssl req -new does.',
    trailing_bytes: () => 'Data follows the request in its block. Create the request again.',
    signature_algorithm: (oid) =>
      `The request is signed with an algorithm that is not accepted (${oid}). Use SHA-256 or ` +
      'better.',
    curve: (oid) => `The curve of the key is not accepted (${oid}). Use P-256, P-384 or P-521.`,
    compressed_point: () =>
      'The public key is a compressed point. Create the request with an uncompressed one.',
    key_invalid: (kind) => `The public key is not a valid ${kind} key. Create a new key.`,
    key_algorithm: (oid) =>
      `The kind of the key is not accepted (${oid}). Use RSA, P-256, P-384, P-521 or Ed25519.`,
    rsa_size: (bits) => `The RSA key has ${bits} bits. 2,048 to 8,192 are accepted.`,
    rsa_exponent: () => 'The exponent of the RSA key is not accepted. Use 65537.',
    subject_unreadable: (attribute) =>
      `The subject’s ${attribute} cannot be read: its bytes are not text of its type.`,
    control_character: (attribute) =>
      `The subject’s ${attribute} has a control character. Create the request without it.`,
  },
  noCrypto:
    'This browser creates keys only on pages that it loaded over HTTPS or from its own machine. ' +
    'Open the console that way, or use the command below.',
  commonNameHint: 'The name of the device or person, such as laptop-17.',
  moreAttributes: 'More about the subject, other names',
  countryHint: 'Two letters, such as CH.',
  countryProblem: 'Use two letters, such as CH.',
  emailProblem: 'Use an address in ASCII, such as ops@example.com.',
  names: 'Subject alternative names',
  namesHint:
    'One in each line: a DNS name, an e-mail address or a URI. A certificate has those that the ' +
    'rules of the zone permit.',
  /** @type {(name: string) => string} */
  namesProblem: (name) => `“${name}” has characters that such a name cannot have.`,
  keyTypeHint: 'P-256 is right unless a device needs RSA.',
  /** @type {Record<string, string>} */
  keys: {
    'P-256': 'P-256: fast, accepted everywhere',
    'P-384': 'P-384',
    'RSA-2048': 'RSA-2048: for old devices',
    'RSA-3072': 'RSA-3072',
    'RSA-4096': 'RSA-4096',
  },
  days: 'Valid for days',
  daysHint: 'A whole number.',
  daysProblem: 'Use a whole number from 1 to 36,600.',
  until: 'until',
  /** @type {(days: number) => string} */
  usualDays: (days) => plural(days, 'day', 'days'),
  /** @type {(zone: string) => string} */
  rules: (zone) => `Issuance rules of ${zone}`,
  rulesOfToken: 'Issuance rules of your token',
  noRules: 'None: every accepted request is issued, without subject alternative names.',
  rulesLack:
    'Your token may not read them (permission Zone Read). The server names a rule that your ' +
    'request breaks.',
  rulesLink: 'Show or change the rules',
  rulesBoth: 'They hold beside those of the zone.',
  action: 'Issue',
  actionWithKey: 'Create the key and issue',
  busy: 'Issuing…',
  needCsr: 'Paste a request first.',
  needName: 'Enter a name first.',
  same: 'The same on the command line',
  done: 'Issued. The certificate is valid now.',
  keyWaits:
    'Save the private key now. It exists only on this page, and is gone when you leave the page.',
  keySaved:
    'Check that your browser saved the private key. It is gone from this page when you leave it.',
  saveKey: 'Save private key',
  saveKeyAgain: 'Save private key again',
  loseTitle: 'Lose the private key?',
  loseBody: 'You have not saved it. Without it, the certificate is of no use.',
  loseAction: 'Go on without it',
  expires: 'Expires',
  signedBy: 'Signed by',
  serial: 'Serial number',
  id: 'ID',
  saveCertificate: 'Save certificate',
  saveChain: 'Save with CA certificate',
  openCertificate: 'Open the certificate',
  pem: 'Certificate in PEM',
  another: 'Issue another one',
};

const authorities = {
  title: 'CAs',
  managed: 'CAs that sign here',
  managedHint:
    'The active CA signs new certificates. Certificates of superseded CAs stay valid and can be ' +
    'revoked.',
  readOnly: 'To change CAs, your token needs the permission Account Settings Write.',
  none: 'No CA yet',
  noneHint: 'certgate creates one when you issue the first certificate. You can also prepare one.',
  prepare: 'Prepare a new CA…',
  prepareTitle: 'Prepare a new CA',
  prepareAction: 'Prepare',
  prepareHint:
    'The new CA is published and does not sign yet. Enforcement points accept its certificates ' +
    'within seconds. Give other proxies the CA bundle, then activate the CA.',
  /** @type {(name: string) => string} */
  prepared: (name) => `Prepared “${name}”. Activate it when every proxy has it.`,
  rotate: 'Replace the active CA…',
  rotateTitle: 'Replace the active CA',
  rotateHint:
    'First the new CA is prepared, so that enforcement points accept its certificates. You then ' +
    'see which of them have it, and let it sign. Give other proxies the CA bundle before that.',
  request: 'Request for an offline root…',
  requestTitle: 'Request for an offline root',
  requestAction: 'Create key and request',
  requestHint:
    'certgate creates a key that stays on the server, and a request for its certificate. Sign ' +
    'the request with your root CA, then import the certificate here.',
  /** @type {(name: string) => string} */
  requested: (name) => `Created the key and the request of “${name}”. Save the request below.`,
  import: 'Import a CA…',
  importTitle: 'Import a CA',
  importAction: 'Import',
  importHint:
    'Bring an existing CA with its private key. Without a key, the certificate must be that of a ' +
    'request below.',
  importSigned: 'Import its certificate…',
  importSignedTitle: 'Import the signed certificate',
  /** @type {(name: string) => string} */
  importSignedHint: (name) =>
    `Paste the certificate that your root CA signed for “${name}”. The CA is then prepared: ` +
    'activate it when every proxy has it.',
  importWhen: 'When does it sign?',
  importPrepared: 'Later: only prepare it',
  importPreparedHint: 'Proxies get it first. You activate it afterwards.',
  importActive: 'Now: make it the active CA',
  importActiveHint: 'Proxies that do not have it yet reject new certificates.',
  /** @type {(name: string, state: string) => string} */
  imported: (name, state) => `Imported “${name}” (${state.toLowerCase()}).`,
  caCertificate: 'Certificate of the CA',
  caCertificateHint: 'PEM, alone or with the chain above it. You can drop the file here.',
  caKey: 'Private key',
  caKeyHint: 'PEM, not encrypted: PKCS #8, SEC 1 or PKCS #1. certgate stores it sealed.',
  caKeyUnsafe:
    'This page was not loaded over HTTPS, so a private key would travel in clear text. Open the ' +
    'console over HTTPS or on the server’s machine to send one.',
  chooseFile: 'Choose a file…',
  tooLarge: 'The file is larger than 32 KiB: choose the PEM file of the certificate or key.',
  adopt: 'Adopt certificates…',
  adoptTitle: 'Adopt certificates that were issued elsewhere',
  /** @type {(zone: string) => string} */
  adoptHint: (zone) =>
    `An imported CA has perhaps signed certificates before. Recorded in ${zone}, you can list, ` +
    'revoke and restore them. A certificate that is recorded already stays as it is.',
  adoptLabel: 'Certificates in PEM',
  /** @type {(number: number, max: number) => string} */
  adoptCount: (number, max) =>
    `${plural(number, 'certificate', 'certificates')}. At most ${count(max)} at a time.`,
  adoptTooLarge: 'The file is larger than 4 MiB: split it.',
  adoptAction: 'Adopt',
  /** @type {(number: number, reason: string) => string} */
  adoptRejected: (number, reason) => `Certificate ${count(number)}: ${reason}`,
  /** @type {(number: number) => string} */
  adoptRejectedTitle: (number) =>
    `${plural(number, 'certificate was', 'certificates were')} not adopted`,
  /** @type {(number: number) => string} */
  adopted: (number) => `Adopted ${plural(number, 'certificate', 'certificates')}.`,
  bundle: 'Save the CA bundle',
  sameList: 'The list and the bundle on the command line',
  same: 'The same on the command line',
  sameUploads: 'The list on the command line',
  /** @type {(number: number) => string} */
  retired: (number) => plural(number, 'retired CA', 'retired CAs'),
  /** @type {Record<string, string>} */
  states: {
    prepared: 'Prepared',
    active: 'Active',
    superseded: 'Superseded',
    retired: 'Retired',
  },
  /** @type {Record<string, string>} */
  stateHints: {
    prepared: 'Does not sign yet. Its certificates would be accepted.',
    active: 'Signs new certificates.',
    superseded: 'Signs no more. Its certificates are accepted.',
    retired: 'Signs no more. Enforcement points reject its certificates.',
  },
  /** @type {Record<string, string>} */
  algorithms: {
    'P-256': 'P-256: fast, accepted everywhere',
    'P-384': 'P-384',
    'RSA-2048': 'RSA-2048: for old devices',
    'RSA-3072': 'RSA-3072',
    'RSA-4096': 'RSA-4096',
    Ed25519: 'Ed25519: browsers do not accept it',
  },
  name: 'Name',
  nameDefault: 'For people, and in the certificate. Empty: certgate makes one.',
  nameOfRequest: 'Also the common name in the request. Empty: certgate makes one.',
  nameOfImport: 'Empty: the common name of the certificate.',
  nameOptional: 'For people. It may be empty.',
  key: 'Key',
  expires: 'Expires',
  created: 'Created',
  activate: 'Activate…',
  activateAction: 'Activate',
  retire: 'Retire…',
  retireAction: 'Retire',
  remove: 'Delete…',
  removeAction: 'Delete',
  certificate: 'Save certificate',
  details: 'Details',
  id: 'ID',
  copyId: 'Copy the ID',
  fingerprint: 'SHA-256 fingerprint',
  publicUrl: 'Public address',
  publishedEpoch: 'Published in epoch',
  crls: 'CRLs',
  noCrls: 'None is published yet.',
  /** @type {(lists: number, number: number) => string} */
  crlsOf: (lists, number) =>
    `${plural(lists, 'list', 'lists')}, the latest number is ${count(number)}.`,
  crlsMade: 'Published',
  crlsUntil: 'The first one ends',
  lists: 'Files for verifiers',
  fullList: 'Full CRL',
  listBundle: 'All CRLs in one PEM file',
  caList: 'CRL of the CA itself',
  certificateFile: 'Certificate in DER',
  pem: 'Certificate in PEM',
  /** @type {(name: string) => string} */
  activateTitle: (name) => `Sign with “${name}”?`,
  /** @type {(before: string | null) => string} */
  activateHint: (before) =>
    'From now on, this CA signs every new certificate. ' +
    (before === null ? '' : `Certificates of “${before}” stay valid and can be revoked.`),
  activateAnyway: 'Activate it anyway',
  activateAnywayHint: 'Proxies without this CA reject new certificates until they have it.',
  /** @type {(before: string) => string} */
  activateUndo: (before) => `You can undo this: activate “${before}” again.`,
  /** @type {(name: string) => string} */
  activated: (name) => `“${name}” signs new certificates from now on.`,
  points: 'Enforcement points',
  noPoints:
    'No enforcement points are registered. Make sure that every proxy has the CA bundle before ' +
    'you activate this CA.',
  pointsLack:
    'Your token may not see the enforcement points (permission Enforcement Points Read), so this ' +
    'page cannot say which are late. The server refuses if one is.',
  hasCa: 'Has this CA',
  lacksCa: 'Not yet',
  silent: 'Silent',
  seen: 'seen',
  /** @type {(name: string) => string} */
  retireTitle: (name) => `Stop trusting “${name}”?`,
  retireHint:
    'Enforcement points then reject every certificate of this CA. Remove it from other proxies ' +
    'yourself. Its CRLs stay published.',
  retireAnyway: 'Retire it even if its certificates can still be valid',
  retireAnywayHint: 'Their holders are locked out. Without this, the server refuses in that case.',
  retireUndo:
    'You can undo this: activate the CA, with “Activate it anyway”, then the present CA again.',
  /** @type {(name: string) => string} */
  retiredDone: (name) => `Retired “${name}”. Enforcement points reject its certificates.`,
  waiting: 'Requests that wait for a certificate',
  waitingHint: 'Their keys are on the server. Import the certificate that your root CA signs.',
  saveRequest: 'Save request',
  /** @type {(name: string) => string} */
  removeRequestTitle: (name) => `Delete the request of “${name}”?`,
  removeRequestHint:
    'Its private key is deleted too: a certificate that was signed for it cannot be imported any ' +
    'more. You cannot undo this.',
  /** @type {(name: string) => string} */
  removed: (name) => `Deleted “${name}”.`,
  uploaded: 'Uploaded certificates',
  uploadedHint:
    'CAs of others, whose client certificates your hostnames accept, and leaf certificates with ' +
    'their keys. certgate signs nothing with them, and does not know their revocations.',
  uploadedLacks:
    'To see them, your token needs the permission Account: SSL and Certificates Read.',
  noUploads: 'Nothing was uploaded',
  upload: 'Upload…',
  uploadTitle: 'Upload a certificate',
  uploadAction: 'Upload',
  /** @type {(name: string) => string} */
  uploadedDone: (name) => `Uploaded “${name}”. Choose its hostnames on the page Hostnames.`,
  kind: 'Kind',
  isCa: 'CA',
  isCaHint: 'Hostnames can accept the client certificates that it signed.',
  isLeaf: 'Leaf certificate',
  isLeafHint: 'One certificate with its private key.',
  chain: 'Certificate',
  chainHint: 'One to ten certificates of one chain in PEM, in any order.',
  issuer: 'Issuer',
  serial: 'Serial number',
  signature: 'Signature',
  usedAt: 'Used by',
  notUsed: 'No hostname: you can delete it',
  /** @type {(number: number) => string} */
  usedByHostnames: (number) =>
    number === 0
      ? 'Hostnames of another zone'
      : `${plural(number, 'hostname', 'hostnames')} of this zone`,
  uploadedOn: 'Uploaded',
  /** @type {(name: string) => string} */
  removeUploadTitle: (name) => `Delete the uploaded certificate “${name}”?`,
  removeUploadHint:
    'Remove it from the hostnames first: the server refuses while one uses it. You can upload it ' +
    'again later.',
};

const hostnames = {
  title: 'Hostnames',
  intro:
    'At these hostnames, proxies ask clients for certificates. Each CA has a list. A hostname in ' +
    'several lists accepts certificates of each of their CAs.',
  managed: 'CAs that sign here',
  none: 'No hostnames: proxies ask for certificates of this CA nowhere in this zone.',
  add: 'Add hostnames',
  /** @type {(zone: string, max: number) => string} */
  addHint: (zone, max) =>
    `${zone} or names below it, separated by blanks. At most ${count(max)} in a list.`,
  addAction: 'Add',
  added: 'Added.',
  /** @type {(hostname: string) => string} */
  removeLabel: (hostname) => `Remove ${hostname}`,
  /** @type {(hostname: string) => string} */
  removeTitle: (hostname) => `Remove “${hostname}”?`,
  /** @type {(ca: string) => string} */
  removeBody: (ca) =>
    `Proxies then ask for no certificates of “${ca}” at this hostname. If no other CA lists it, ` +
    'clients without a certificate may get in. You can add it again.',
  removeAction: 'Remove',
  removed: 'Removed.',
  readOnly: 'To change the list, your token needs the permission SSL and Certificates Write.',
  uploadsLack:
    'To see the lists of uploaded CAs, your token needs the permission Account: SSL and ' +
    'Certificates Read.',
  same: 'The same on the command line',
  sameBundle: 'The CAs of a hostname on the command line',
  acceptedTitle: 'What each hostname accepts',
  acceptedHint: 'Give a proxy that does not follow certgate the CAs of its hostname.',
  /** @type {(number: number) => string} */
  acceptedCount: (number) => plural(number, 'hostname', 'hostnames'),
  hostname: 'Hostname',
  accepts: 'Accepts certificates of',
  acceptsNone: 'No CA: every client is refused',
  save: 'Save CAs',
  /** @type {(hostname: string) => string} */
  saveLabel: (hostname) => `Save the CAs of ${hostname}`,
  noHosts: 'No hostname of this zone asks for certificates',
};

const enforcement = {
  title: 'Enforcement points',
  intro:
    'Gateways and proxies that reject revoked certificates, and confirm each change. A change is ' +
    'pending until each of them has confirmed it.',
  none: 'No enforcement points',
  noneHint: 'A gateway registers itself when it starts. The commands are below.',
  name: 'Name',
  status: 'Status',
  /** @type {Record<string, string>} */
  states: { current: 'Current', lagging: 'Lagging', silent: 'Silent' },
  /** @type {Record<string, string>} */
  stateHints: {
    current: 'Has every change',
    lagging: 'Changes wait for it',
    silent: 'Changes do not wait for it',
  },
  covers: 'Ends for revoked clients',
  /** @type {Record<string, string>} */
  coverage: {
    connections: 'open connections',
    requests: 'each request',
    handshakes: 'new connections only',
  },
  whenStale: 'Without contact',
  /** @type {Record<string, string>} */
  stale: { refuse: 'refuses every client', serve: 'serves with the last state' },
  seen: 'Last seen',
  details: 'Details',
  id: 'ID',
  copyId: 'Copy the ID',
  registered: 'Registered',
  leaseShort: 'Lease',
  lease: 'Lease, in seconds',
  leaseHint: 'Longer without a confirmation: silent.',
  forgetShort: 'Forgotten after',
  forget: 'Forgotten after, in seconds',
  forgetHint: 'Then certgate deletes it.',
  /** @type {(number: number) => string} */
  seconds: (number) => `${count(number)} s`,
  acknowledged: 'Confirmed epoch',
  /** @type {(own: number, last: number) => string} */
  epochOf: (own, last) => `${count(own)} (latest change: ${count(last)})`,
  /** @type {(number: number) => string} */
  laggingNotice: (number) =>
    `Changes wait for ${plural(number, 'enforcement point', 'enforcement points')}. They settle ` +
    'when it confirms, or when its lease ends.',
  /** @type {(number: number) => string} */
  silentNotice: (number) =>
    `${plural(number, 'enforcement point is', 'enforcement points are')} silent: start it again, ` +
    'or delete it if it does not exist any more.',
  register: 'Register one…',
  registerTitle: 'Register an enforcement point',
  registerHint:
    'Gateways register themselves. Do this only for a program of yours that confirms changes ' +
    'with the API: until it does, every change waits for its lease.',
  registerAction: 'Register',
  /** @type {(name: string) => string} */
  registeredDone: (name) => `Registered “${name}”.`,
  readOnly:
    'To register or delete one, your token needs the permission Enforcement Points Write.',
  remove: 'Delete…',
  /** @type {(name: string) => string} */
  removeTitle: (name) => `Delete the enforcement point “${name}”?`,
  removeHint: 'Changes do not wait for it any more, and the list forgets it.',
  removeAlive:
    'It reported a moment ago. If it still runs, it registers itself again. Stop it first.',
  removeAction: 'Delete',
  /** @type {(name: string) => string} */
  removed: (name) => `Deleted “${name}”.`,
  start: 'Start one',
  startHint: 'On the machine of the proxy, with a token of the role “proxy”:',
  gateway: 'Gateway: a proxy of certgate',
  authz: 'Authorisation service for another proxy',
  follow: 'CRL files for nginx, HAProxy and others',
  same: 'The same on the command line',
  sameList: 'The list on the command line',
};

const tokens = {
  title: 'Tokens and roles',
  one: 'Token',
  owners: 'Owners of tokens',
  ofUser: 'Tokens of the user',
  ofAccount: 'Tokens of the account',
  introOfUser:
    'A token of the user works until it ends or is deleted. Give each program a token of its ' +
    'own, with the smallest role that does its job.',
  introOfAccount:
    'A token of the account has permissions on this account and its zones only, and ends with it.',
  /** @type {(permission: string) => string} */
  readOnly: (permission) => `To create or change tokens, your token needs ${permission}.`,
  none: 'No tokens',
  create: 'Create token',
  newTitle: 'Create a token',
  name: 'Name',
  nameHint: 'What uses it, such as “ci” or “gateway in Zurich”.',
  needName: 'Enter a name first.',
  status: 'Status',
  /** @type {Record<string, string>} */
  states: { active: 'Active', disabled: 'Disabled', expired: 'Expired' },
  permissions: 'Permissions',
  where: 'Where',
  expires: 'Expires',
  lastUsed: 'Last used',
  thisToken: 'You are signed in with it',
  hasRules: 'with issuance rules',
  /** @type {(name: string) => string} */
  denied: (name) => `not ${name}`,
  /** @type {(number: number) => string} */
  more: (number) => ` and ${count(number)} more`,
  everyZone: 'every zone',
  everyAccount: 'every account',
  user: 'the user',
  /** @type {(account: string) => string} */
  zonesOf: (account) => `every zone of ${account}`,
  /** @type {(account: string) => string} */
  accountNamed: (account) => `account ${account}`,
  role: 'Role',
  /** @type {Record<string, string>} */
  roles: {
    issuer: 'Issuer',
    operator: 'Operator',
    auditor: 'Auditor',
    proxy: 'Proxy',
    admin: 'Administrator',
  },
  /** @type {Record<string, string>} */
  roleHints: {
    issuer: 'Issues client certificates, and reads none. For CI and enrolment.',
    operator: 'Issues, reads, revokes and restores client certificates.',
    auditor: 'Reads everything, and changes nothing.',
    proxy: 'Reports for an enforcement point, such as a gateway.',
    admin: 'Does everything, also creates tokens.',
  },
  custom: 'Choose permissions',
  customHint: 'Write includes Read of the same name.',
  /** @type {(number: number) => string} */
  permissionsOfRole: (number) => plural(number, 'permission', 'permissions'),
  permissionsProblem: 'Choose at least one permission.',
  zonesProblem: 'Choose at least one zone.',
  everywhere: 'Everywhere',
  everywhereHint: 'Every account and zone, also those that are created later.',
  wholeAccount: 'The whole account',
  wholeAccountHint: 'Every zone of the account, also those that are created later.',
  account: 'This account',
  accountHint: 'The account of the zone that is chosen above, and every zone of it.',
  someZones: 'Some zones',
  someZonesHint: 'Permissions on accounts hold for the account of the chosen zone.',
  zones: 'Zones',
  expiresHint: 'A token that ends by itself does less harm when it is lost.',
  /** @type {Record<string, string>} */
  lifetimes: { '8h': 'In 8 hours', '7d': 'In 7 days', '90d': 'In 90 days', '365d': 'In a year' },
  expiresDate: 'At a date',
  expiresNever: 'Never',
  expiresOn: 'End',
  expiresEmpty: 'In your time zone. Empty: the token does not end.',
  expiresProblem: 'Choose a time in the future.',
  addresses: 'Addresses',
  addressesHint: 'Addresses and networks that may use it, one in each line. Empty: all.',
  anywhere: 'from everywhere',
  butNot: 'but not from',
  rulesSummary: 'Limit what it may issue',
  rulesHint: 'The rules of the zone hold too.',
  same: 'The same on the command line',
  sameList: 'The list on the command line',
  sameShow: 'The same with curl',
  /** @type {(name: string) => string} */
  created: (name) => `Created the token “${name}”.`,
  secret: 'Secret value',
  secretOnce: 'This is its value. certgate shows it now, and never again.',
  secretCopy: 'Copy the value',
  secretSave: 'Save as a file',
  secretSaved: 'Saved.',
  use: 'Programs read it from the variable CERTGATE_TOKEN, or send it in the header Authorization.',
  useLabel: 'Use the token',
  backToList: 'All tokens',
  isOwn: 'You are signed in with this token.',
  facts: 'Token',
  id: 'ID',
  copyId: 'Copy the ID',
  createdOn: 'Created',
  modifiedOn: 'Changed',
  notBefore: 'Works from',
  allows: 'Allowed:',
  denies: 'Denied:',
  change: 'Change…',
  /** @type {(name: string) => string} */
  changeTitle: (name) => `Change “${name}”`,
  changeAction: 'Save',
  changed: 'Saved the token.',
  isActive: 'The token works',
  isActiveHint: 'Without this, it is disabled. You can enable it again.',
  replaces: 'Replace its permissions',
  roll: 'New value…',
  /** @type {(name: string) => string} */
  rollTitle: (name) => `Replace the value of “${name}”?`,
  rollHint:
    'The old value stops working at once. Programs that use it need the new one. You cannot undo ' +
    'this.',
  rollOwn: 'This page continues with the new value.',
  rollAction: 'Replace',
  remove: 'Delete…',
  /** @type {(name: string) => string} */
  removeTitle: (name) => `Delete the token “${name}”?`,
  removeHint: 'It stops working at once. You cannot undo this.',
  removeOwn: 'You are signed in with it, so that you are signed out.',
  removeAction: 'Delete',
  /** @type {(name: string) => string} */
  removed: (name) => `Deleted the token “${name}”.`,
  lastToken: 'Do it although no other token can create tokens',
  lastTokenHint:
    'You can then create one only on the server’s machine: certgate token create --offline.',
  key: 'API key for older clients',
  keyHint:
    'Clients that send X-Auth-Email and X-Auth-Key need it. It may do everything and never ends, ' +
    'so prefer tokens. Your token needs every permission to create it.',
  keyCreate: 'Create or replace the key…',
  keyRemove: 'Delete the key…',
  keyTitle: 'Create the API key?',
  keyBody: 'An earlier key stops working at once.',
  keyAction: 'Create',
  /** @type {(email: string) => string} */
  keyMade: (email) => `API key of ${email}`,
  keyRemoveTitle: 'Delete the API key?',
  keyRemoveBody: 'Clients that use it are refused at once.',
  keyRemoved: 'Deleted the API key.',
};

const rules = {
  title: 'Issuance rules',
  intro:
    'Rules limit the certificates that are issued in this zone, for every token. A token can ' +
    'have rules of its own too. An absent rule limits nothing.',
  /** @type {(zone: string) => string} */
  now: (zone) => `Rules of ${zone}`,
  none: 'None: every accepted request is issued, without subject alternative names.',
  change: 'Change the rules',
  save: 'Save the rules',
  saved: 'Saved. The rules hold for every certificate from now on.',
  discard: 'Discard changes',
  remove: 'Remove all rules…',
  removeTitle: 'Remove all rules of the zone?',
  removeBody: 'Tokens can then issue any name, for any time that the server permits.',
  removeAction: 'Remove',
  removed: 'Removed all rules.',
  readOnly: 'To change the rules, your token needs the permission Zone Write.',
  same: 'The same on the command line',
  sameShow: 'Show them on the command line',
  rulesFile: 'rules.json',
  commonNames: 'Permitted common names',
  commonNamesHint: 'One pattern in each line, such as build-*. The star stands for any text.',
  lifetime: 'Longest lifetime',
  lifetimeHint: 'Such as 8h, 90d or 12w. Empty: the maximum of the server.',
  lifetimeProblem: 'Use a time of at least an hour, such as 8h, 90d or 12w.',
  keyTypes: 'Permitted keys',
  keyTypesHint: 'None chosen: every accepted key.',
  rsaOfAnySize: 'RSA of any size',
  perDay: 'Certificates a day',
  perDayHint: 'In UTC. Counted from now on.',
  perName: 'Active certificates of a name',
  perNameHint: 'Unexpired ones with the same common name.',
  numberProblem: 'Use a whole number of at least 1.',
  attributesSummary: 'Required and forbidden parts of the subject',
  required: 'Must have',
  forbidden: 'Must not have',
  /** @type {(names: string) => string} */
  bothProblem: (names) => `Required and forbidden at once: ${names}. Choose one.`,
  alternativeNames: 'Subject alternative names',
  namesNone: 'Certificates have none',
  namesOfZone: 'Those that the zone permits',
  namesOfZoneHint: 'None, if this token has permitted common names.',
  namesSome: 'Certificates have these',
  namesSomeHint: 'Names of the request that match a pattern.',
  /** @type {Record<string, string>} */
  nameKinds: { dns: 'DNS names', email: 'E-mail addresses', uri: 'URIs', ip: 'IP addresses' },
  /** @type {Record<string, string>} */
  nameHints: {
    dns: 'Such as *.ci.example.com',
    email: 'Such as *@example.com',
    uri: 'Such as spiffe://example.com/*',
    ip: 'Such as 10.0.0.0/8',
  },
  beyond: 'A request with other names',
  beyondDrop: 'is issued without them',
  beyondReject: 'is refused',
  enrolmentSummary: 'Renewals and clients without a token (EST)',
  enrolmentHint:
    'Devices renew with their certificate instead of a token, if the server has enrol_listen.',
  enrolmentLifetime: 'Lifetime of their certificates',
  enrolmentLifetimeHint: 'Such as 8h or 90d. Empty: that of the certificate that is renewed.',
  revokeReplaced: 'Revoke a replaced certificate after',
  revokeReplacedHint: 'Such as 1d. Empty: it works until it expires.',
  trustedCas: 'Uploaded CAs whose clients may enrol',
  trustedCasHint:
    'For example a manufacturer’s CA. The name in the client’s certificate becomes the name here.',
  noUploadedCas:
    'Upload the CA of a manufacturer on the page of CAs to let its devices enrol without a token.',
  broken: 'The server will refuse this request:',
  changed: 'The certificate will differ from the request:',
  ofToken: '(a rule of your token)',
  /** @type {Record<string, string>} */
  attributes: {
    common_name: 'Common name',
    country: 'Country',
    state: 'State or province',
    location: 'Location',
    organization: 'Organization',
    organizational_unit: 'Organizational unit',
    email_address: 'E-mail address',
    serial_number: 'Serial number of the device',
    title: 'Title',
    given_name: 'Given name',
    surname: 'Surname',
    user_id: 'User ID',
    domain_component: 'Domain component',
  },
  /** @type {Record<string, (value: string, permitted: string) => string>} */
  findings: {
    'common_names.absent': (_, permitted) => `It needs a common name: ${permitted}.`,
    'common_names.several': (value, permitted) =>
      `It has ${value} common names. Use one of: ${permitted}.`,
    'common_names.other': (value, permitted) =>
      `The common name “${value}” is not permitted. Permitted: ${permitted}.`,
    'active_per_name.absent': () => 'It needs a common name, because the zone counts them.',
    'active_per_name.several': (value) => `It has ${value} common names. Use one.`,
    'required_attributes.absent': (value) => `The subject has no ${value}, which is required.`,
    'forbidden_attributes.present': (value) => `The subject has a ${value}, which is forbidden.`,
    'key_types.other': (value, permitted) =>
      `A ${value} key is not permitted. Permitted: ${permitted}.`,
    'max_lifetime.longer': (value, permitted) =>
      `${value} days are too long. At most ${permitted} are permitted.`,
    'max_lifetime.shortened': (_, permitted) => `It ends ${permitted} after its start.`,
    'alternative_names.rejected': (value) => `The name “${value}” is not permitted.`,
    'alternative_names.dropped': (value) => `It will not have the name “${value}”.`,
  },
  sentences: {
    corrupt: 'The stored rules are corrupt, and nothing is issued. Save new rules.',
    /** @type {(names: string) => string} */
    commonNames: (names) => `Common name: ${names}`,
    /** @type {(types: string) => string} */
    keyTypes: (types) => `Key: ${types}`,
    /** @type {(time: string) => string} */
    maxLifetime: (time) => `Lifetime: at most ${time}`,
    /** @type {(attributes: string) => string} */
    required: (attributes) => `The subject must have: ${attributes}`,
    /** @type {(attributes: string) => string} */
    forbidden: (attributes) => `The subject must not have: ${attributes}`,
    /** @type {(number: number) => string} */
    perDay: (number) => `At most ${plural(number, 'certificate', 'certificates')} a day`,
    /** @type {(number: number) => string} */
    perName: (number) =>
      `At most ${plural(number, 'active certificate', 'active certificates')} of a name`,
    /** @type {(names: string, isRefused: boolean) => string} */
    alternativeNames: (names, isRefused) =>
      `Alternative names: ${names || 'none'}. Others are ${isRefused ? 'refused' : 'left out'}.`,
    /** @type {(time: string) => string} */
    enrolmentLifetime: (time) => `Renewed over EST: for ${time}`,
    /** @type {(time: string) => string} */
    revokeReplaced: (time) => `A replaced certificate is revoked ${time} after its renewal`,
    /** @type {(number: number) => string} */
    trustedCas: (number) =>
      `Clients of ${plural(number, 'uploaded CA', 'uploaded CAs')} may enrol without a token`,
  },
};

const invites = {
  title: 'Invites',
  intro:
    'Who has the link of an invite gets a certificate of its name, without a token. Send the ' +
    'link to one person, for one device.',
  name: 'Name',
  nameHint: 'The common name of the certificate, such as anna or laptop-17.',
  device: 'Device',
  /** @type {Record<string, string>} */
  devices: {
    device: 'Any device',
    iphone: 'iPhone or iPad',
    android: 'Android',
    windows: 'Windows',
    macos: 'macOS',
    linux: 'Linux',
    firefox: 'Firefox',
  },
  state: 'State',
  /** @type {Record<string, string>} */
  states: {
    open: 'Open',
    used: 'Used',
    withdrawn: 'Withdrawn',
    locked: 'Locked',
    expired: 'Expired',
  },
  lockedHint: 'Ten wrong secrets were sent for it.',
  used: 'Used',
  /** @type {(used: number, all: number) => string} */
  uses: (used, all) => `${count(used)} of ${count(all)}`,
  /** @type {(number: number) => string} */
  certificate: (number) => `Certificate ${count(number)}`,
  expires: 'Ends',
  created: 'Created',
  none: 'No invites',
  noneHow: 'Create one, and send its link to the person who gets the certificate.',
  create: 'Invite…',
  createTitle: 'Invite a person or a device',
  createAction: 'Create the link',
  /** @type {(lacking: string) => string} */
  createLacks: (lacking) => `To create invites, your token needs the permission ${lacking}.`,
  ownRules:
    'Your token has issuance rules of its own. Such a token cannot create invites, because its ' +
    'rules would not apply to their certificates.',
  lifetime: 'Lifetime of the certificate',
  lifetimeHint: 'Such as 30d or 8h. Empty: that of the rules of the zone, or 90 days.',
  lifetimeProblem: 'Use a time of at least an hour, such as 8h, 90d or 12w.',
  validFor: 'The link works for',
  /** @type {Record<string, string>} */
  validTimes: { 3600: 'an hour', 86400: 'a day', 604800: 'a week', 2592000: '30 days' },
  usesMax: 'Certificates',
  usesHint: 'More than one only if one person enrols several devices with the link.',
  usesProblem: 'Use a whole number from 1 to 100.',
  /** @type {(name: string) => string} */
  createdDone: (name) => `Created an invite for “${name}”.`,
  once:
    'This is the link. certgate shows it now, and never again. Who has it gets the certificate.',
  onceSecret:
    'This is the invite. certgate shows it now, and never again. Who has it gets the certificate.',
  link: 'Link of the invite',
  copy: 'Copy the link',
  copySecret: 'Copy the invite',
  qr: 'QR code of the link',
  qrHint: 'Scan it with the camera of the device.',
  noLink:
    'The server has no invite_url, so there is no link to open in a browser. A machine enrols ' +
    'with this text:',
  enrol: 'On a machine, with the text in the file invite.txt',
  done: 'Close',
  withdraw: 'Withdraw…',
  /** @type {(name: string) => string} */
  withdrawTitle: (name) => `Withdraw the invite for “${name}”?`,
  withdrawHint: 'Its link stops working at once. Certificates that it gave stay valid.',
  withdrawAction: 'Withdraw',
  /** @type {(name: string) => string} */
  withdrawn: (name) => `Withdrew the invite for “${name}”.`,
  same: 'The same on the command line',
  sameList: 'The list on the command line',
};

const audit = {
  title: 'Audit log',
  logs: 'Logs',
  ofAccount: 'Log of the account',
  ofUser: 'Log of the user',
  intro:
    'Every change, with its time, actor and address. Each entry is linked to the one before by ' +
    'its hash, and your browser verifies what you see.',
  since: 'From',
  before: 'Before',
  who: 'Who',
  /** @type {Record<string, string>} */
  actors: {
    '': 'Everyone',
    api_key: 'API key',
    system: 'certgate itself',
    offline: 'On the server, without a token',
  },
  /** @type {Record<string, string>} */
  enrolled: {
    certificate: 'Holder of the certificate',
    mtls_certificate: 'Client of the uploaded CA',
    invite: 'Holder of the invite',
  },
  certificateName: 'Certificate name or ID',
  withoutIssue: 'Hide issued certificates',
  /** @type {(id: string) => string} */
  byToken: (id) => `By the token ${id}`,
  /** @type {(id: string) => string} */
  aboutCertificate: (id) => `About the certificate ${id}`,
  onlyThis: 'Show only what this token did',
  /** @type {(id: string) => string} */
  deletedToken: (id) => `deleted token …${id.slice(-8)}`,
  number: 'No.',
  time: 'Time',
  what: 'What',
  detail: 'Detail',
  none: 'No entries',
  nothingYet: 'None of the next 20,000 entries matches. You can search older ones.',
  searchOn: 'Search older entries',
  older: 'Older entries',
  newest: 'Newest entries',
  /** @type {Record<string, string>} */
  verbs: {
    issue: 'Issued',
    adopt: 'Adopted',
    revoke: 'Revoked',
    reactivate: 'Restored',
    create: 'Created',
    update: 'Changed',
    delete: 'Deleted',
  },
  /** @type {Record<string, string>} */
  objects: {
    client_certificate: 'certificate',
    managed_authority: 'CA',
    mtls_certificate: 'uploaded certificate',
    hostname_associations: 'hostnames of zone',
    zone: 'zone',
    account: 'account',
    enforcement_point: 'enforcement point',
    api_token: 'token',
    api_key: 'API key of user',
    user: 'user',
    invite: 'invite',
  },
  /** @type {(zone: string) => string} */
  inZone: (zone) => `in ${zone}`,
  /** @type {Record<string, string>} */
  verdicts: {
    intact: 'Intact: its hash follows from its content and the entry before',
    changed: 'Changed: its hash does not follow from its content and the entry before',
    unlinked: 'Not verified: the entry before it is not on this page',
  },
  noCrypto:
    'This browser verifies hashes only on pages that it loaded over HTTPS or from its own machine.',
  /** @type {(number: number) => string} */
  intact: (number) =>
    number === 1 ? 'The entry is intact.' : `All ${count(number)} entries on this page are intact.`,
  /** @type {(intact: number, unlinked: number) => string} */
  partlyIntact: (intact, unlinked) =>
    `${plural(intact, 'entry is', 'entries are')} intact. ${count(unlinked)} cannot be verified ` +
    'here, because the filters hide the entry before. Check the whole log below.',
  /** @type {(numbers: number[]) => string} */
  changed: (numbers) =>
    'These entries were changed, or the entry before them was replaced: ' +
    `${list(numbers.map(String))}. The database was changed without certgate. Compare it with a ` +
    'backup: certgate audit verify --database.',
  whole: 'Check the whole log',
  wholeHint:
    'Your browser reads every entry from the first one on, and calculates its hash.',
  wholeAction: 'Check the whole log',
  expected: 'A head that you stored',
  expectedHint:
    'Optional: ID, number and hash, as this check or certgate audit verify prints them. It ' +
    'reveals an attacker who calculated all hashes again.',
  notAHead: 'The stored head is not one of this log: it has the form ID:number:hash.',
  stop: 'Stop',
  checking: 'Checking',
  /** @type {(number: number) => string} */
  stopped: (number) => `Stopped. The first ${count(number)} entries are intact.`,
  /** @type {(number: number, isExpected: boolean) => string} */
  wholeIntact: (number, isExpected) =>
    `${plural(number, 'entry: it is intact', 'entries: all are intact')}` +
    (isExpected ? ', and the log still has the entry that you stored.' : '.'),
  head: 'Head of the log',
  headHint: 'Store it in another place, and compare with it later.',
  /** @type {Record<string, (number: number) => string>} */
  broken: {
    changed: (number) => `Entry ${count(number)} was changed. The entries before it are intact.`,
    missing: (number) => `Entry ${count(number)} is missing. The entries before it are intact.`,
    other: (number) =>
      `Entry ${count(number)} has another hash than the head that you stored: the whole log was ` +
      'written anew.',
    short: (number) =>
      `The log ends before entry ${count(number)}, and the head that you stored is later: ` +
      'entries were removed.',
  },
  same: 'The same on the command line',
  sameVerify: 'Verify on the server’s machine',
};

const zones = {
  title: 'Zones',
  intro: 'A zone is a domain with its own certificates, hostnames and issuance rules.',
  search: 'Find a zone by a part of its name',
  name: 'Name',
  id: 'ID',
  copyId: 'Copy the ID',
  account: 'Account',
  created: 'Created',
  none: 'No zones',
  create: 'Create a zone…',
  createTitle: 'Create a zone',
  createHint: 'certgate does not check that you own the domain.',
  nameHint: 'A domain name, such as example.org.',
  createAction: 'Create',
  /** @type {(name: string) => string} */
  createdDone: (name) => `Created the zone ${name}. Choose it above.`,
  remove: 'Delete…',
  /** @type {(name: string) => string} */
  removeTitle: (name) => `Delete the zone “${name}”?`,
  removeHint:
    'Its lists of hostnames are deleted too. You cannot undo this. The server refuses it while ' +
    'the zone has certificates that are not revoked.',
  /** @type {(name: string) => string} */
  typeName: (name) => `Type ${name} to confirm`,
  removeAction: 'Delete the zone',
  /** @type {(name: string) => string} */
  removed: (name) => `Deleted the zone “${name}”.`,
  same: 'The same on the command line',
  sameList: 'The list on the command line',
};

const accounts = {
  title: 'Accounts and user',
  accounts: 'Accounts',
  intro:
    'An account has zones, CAs, enforcement points and tokens of its own. Most installations ' +
    'need one.',
  name: 'Name',
  present: 'Account of the chosen zone',
  id: 'ID',
  copyId: 'Copy the ID',
  key: 'Key of the first CA',
  keyHint: 'certgate makes this CA when it issues the first certificate of the account.',
  keyOfServer: 'As the server is configured (authority_algorithm)',
  created: 'Created',
  none: 'No accounts',
  create: 'Create an account…',
  createLacks:
    'To create accounts, your token needs the permission Account Settings Write on all accounts.',
  createTitle: 'Create an account',
  createAction: 'Create',
  /** @type {(name: string) => string} */
  createdDone: (name) =>
    `Created the account “${name}”. Create a zone in it, on the page of zones.`,
  rename: 'Rename…',
  /** @type {(name: string) => string} */
  renameTitle: (name) => `Rename “${name}”`,
  renameAction: 'Save',
  /** @type {(name: string) => string} */
  renamed: (name) => `The account is called “${name}” now.`,
  remove: 'Delete…',
  /** @type {(name: string) => string} */
  removeTitle: (name) => `Delete the account “${name}”?`,
  removeHint:
    'Its tokens stop working at once. You cannot undo this. The server refuses it while the ' +
    'account has zones or uploaded certificates.',
  /** @type {(name: string) => string} */
  typeName: (name) => `Type ${name} to confirm`,
  removeAction: 'Delete the account',
  /** @type {(name: string) => string} */
  removed: (name) => `Deleted the account “${name}”.`,
  user: 'User',
  userIntro: 'An installation has one user, who owns the tokens that no account owns.',
  email: 'E-mail address',
  /** @type {Record<string, string>} */
  details: {
    first_name: 'First name',
    last_name: 'Last name',
    telephone: 'Telephone',
    country: 'Country',
    zipcode: 'Postal code',
  },
  changeUser: 'Change…',
  changeUserTitle: 'Change the details of the user',
  userReadOnly: 'To change them, your token needs the permission User Details Write.',
  userChanged: 'Saved the details of the user.',
  same: 'The same with curl',
  sameList: 'The list with curl',
  sameUser: 'The user with curl',
};

const notifications = {
  title: 'Notifications',
  intro:
    'The server reports changes, and what needs attention, to a webhook and by e-mail. Its ' +
    'settings name the destinations.',
  destinations: 'Destinations',
  destination: 'Destination',
  /** @type {Record<string, string>} */
  names: { webhook: 'Webhook', email: 'E-mail' },
  none: 'No destinations',
  noneHow: 'Set one, and restart the server. Its notifications begin then.',
  noneCommand: 'A webhook',
  noneExample:
    '(umask 077; echo "whsec_$(openssl rand -base64 32)" > webhook.secret)\n' +
    'certgate serve --webhook-url https://hooks.example.com/certgate ' +
    '--webhook-secret-file webhook.secret',
  state: 'State',
  delivers: 'Delivers',
  fails: 'Fails',
  next: 'Next attempt',
  waiting: 'Waiting',
  /** @type {(number: number) => string} */
  entries: (number) => plural(number, 'entry', 'entries'),
  oldest: 'The oldest',
  delivered: 'Delivered',
  /** @type {(number: number) => string} */
  events: (number) => plural(number, 'event', 'events'),
  last: 'The last',
  types: 'Types',
  undelivered: 'Undelivered events',
  noUndelivered: 'No event was set aside',
  type: 'Type',
  object: 'Certificate or other object',
  time: 'Time',
  setAside: 'Set aside',
  reason: 'Reason',
  isRetried: 'Tried again soon',
  /** @type {(lacking: string) => string} */
  lacks: (lacking) => `To test and retry, your token needs the permission ${lacking}.`,
  test: 'Send a test…',
  testTitle: 'Send a test event?',
  testHint: 'Each destination gets an event of type test at once, before those that wait.',
  testAction: 'Send',
  testDone: 'The test has ended.',
  /** @type {(name: string, milliseconds: number) => string} */
  testDelivered: (name, milliseconds) =>
    `${name}: the test was delivered after ${count(milliseconds)} ms.`,
  /** @type {(name: string) => string} */
  testFailed: (name) => `${name}: the test was not delivered:`,
  retry: 'Try undelivered events again…',
  retryTitle: 'Try undelivered events again?',
  retryHint: 'Each gets one more attempt. Those that fail stay in the list.',
  retryAction: 'Try again',
  /** @type {(number: number) => string} */
  retried: (number) => `${plural(number, 'event is', 'events are')} tried again.`,
  same: 'The same on the command line',
  sameList: 'The list on the command line',
};

export const text = {
  shell,
  signIn,
  common,
  overview,
  certificates,
  certificate,
  bulk,
  issue,
  authorities,
  hostnames,
  enforcement,
  tokens,
  rules,
  invites,
  audit,
  zones,
  accounts,
  notifications,
};
