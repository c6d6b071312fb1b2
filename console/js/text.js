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
    `Your token does not see the zone ${zone} of this link. Sign in with another token, or choose ` +
    'a page from the navigation.',
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
  noToken: 'I have no token',
  noTokenFirst: 'The first start of the server printed one, and stored it in client.toml.',
  noTokenHow: 'On the machine of the server, this command creates another one:',
  commandLabel: 'Command that creates a token',
};

/** Words that several pages show. */
const common = {
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
};

const overview = {
  title: 'Overview',
};

const certificates = {
  title: 'Certificates',
};

const certificate = {
  title: 'Certificate',
};

const bulk = {
  title: 'Bulk action',
};

const issue = {
  title: 'Issue a certificate',
};

const authorities = {
  title: 'CAs',
};

const hostnames = {
  title: 'Hostnames',
};

const enforcement = {
  title: 'Enforcement points',
};

const tokens = {
  title: 'Tokens and roles',
};

const rules = {
  title: 'Issuance rules',
};

const audit = {
  title: 'Audit log',
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
  audit,
};
