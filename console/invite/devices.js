// The devices, the forms of a certificate that fit each, and the steps of its user.

/**
 * A form in which the page hands over a certificate.
 * @typedef {'mobileconfig' | 'p12' | 'p12_legacy' | 'browser' | 'command'} Form
 *
 * @typedef {object} Device
 * @property {string} label
 * @property {readonly Form[]} forms The best first.
 * @property {(form: Form) => readonly string[]} steps What the user does with the file.
 */

/** @type {Readonly<Record<Form, {label: string, action: string, hint: string}>>} */
export const FORMS = Object.freeze({
  mobileconfig: {
    label: 'Profile for Apple devices (.mobileconfig)',
    action: 'Make the profile',
    hint: 'The server makes a key for you, and soon forgets it.',
  },
  p12: {
    label: 'Key and certificate in one file (.p12)',
    action: 'Make the file',
    hint:
      'The server makes a key for you, and soon forgets it. AES-256 protects the file.',
  },
  p12_legacy: {
    label: 'The same for older systems (.p12, 3DES)',
    action: 'Make the file',
    hint:
      'The server makes a key for you, and soon forgets it. Every system reads this file, also ' +
      'Android 13, iOS, macOS and Windows Server 2016.',
  },
  browser: {
    label: 'Key and certificate as text (PEM)',
    action: 'Make a key and get the certificate',
    hint: 'This browser makes the key. No server ever sees it.',
  },
  command: {
    label: 'The command certgate enrol',
    action: 'Show the command',
    hint: 'The device makes its key itself. Later, certgate renew renews the certificate.',
  },
});

/** @type {readonly string[]} */
const PEM_STEPS = [
  'Keep the key file secret. No server has the key, and the file cannot be made again.',
  'Give both files to your program, for example: curl --cert FILE.crt --key FILE.key',
];

/** @type {readonly string[]} */
const COMMAND_STEPS = [
  'Run the command on the device. It waits for the invite.',
  'Paste the invite, press Enter, and then Ctrl and D.',
  'The command writes the key and the certificate, and says where.',
];

/**
 * Returns steps of a device, with those that are the same on every device.
 * @param {readonly string[]} own For files that the server makes.
 * @returns {(form: Form) => readonly string[]}
 */
function steps(...own) {
  return (form) => {
    if (form === 'browser') return PEM_STEPS;
    return form === 'command' ? COMMAND_STEPS : own;
  };
}

/** @type {Readonly<Record<string, Device>>} */
export const DEVICES = Object.freeze({
  iphone: {
    label: 'iPhone or iPad',
    forms: ['mobileconfig', 'p12_legacy'],
    steps: (form) =>
      form === 'mobileconfig'
        ? [
            'Open this page in Safari: other browsers cannot install profiles. Tap Allow.',
            'Open Settings, tap Profile Downloaded, and then Install.',
            'Enter the code of your device, and then the password above.',
          ]
        : [
            'Open the file in Files, then open Settings, tap Profile Downloaded, and then Install.',
            'Enter the code of your device, and then the password above.',
          ],
  },
  macos: {
    label: 'Mac',
    forms: ['mobileconfig', 'p12_legacy', 'browser', 'command'],
    steps: (form) =>
      form === 'mobileconfig'
        ? [
            'Open the downloaded file.',
            'Open System Settings, General, Device Management. On macOS 14 and earlier, open ' +
              'Privacy & Security, Profiles.',
            'Double-click the profile, click Install, and enter the password above.',
            'Restart your browser.',
          ]
        : steps(
            'Open the downloaded file, and enter the password above.',
            'Restart your browser.',
          )(form),
  },
  windows: {
    label: 'Windows',
    forms: ['p12', 'p12_legacy', 'browser', 'command'],
    steps: steps(
      'Open the downloaded file, choose Current User, and click Next until Windows asks for ' +
        'the password.',
      'Enter the password above, and click Next until Finish.',
      'Restart your browser.',
    ),
  },
  android: {
    label: 'Android',
    forms: ['p12_legacy', 'p12'],
    steps: steps(
      'Open the downloaded file. If nothing happens, open Settings, search for “install a ' +
        'certificate”, choose VPN & app user certificate, and then the file.',
      'Enter the password above, and give the certificate a name.',
      'Open the page below in Chrome, and choose the certificate.',
    ),
  },
  linux: {
    label: 'Linux with Chrome',
    forms: ['p12', 'p12_legacy', 'browser', 'command'],
    steps: steps(
      'Open chrome://certificate-manager in Chrome, choose Your certificates, and click Import.',
      'Choose the downloaded file, and enter the password above.',
    ),
  },
  firefox: {
    label: 'Firefox',
    forms: ['p12', 'p12_legacy', 'browser'],
    steps: steps(
      'Open Settings, Privacy & Security, and click View Certificates.',
      'Choose Your Certificates, click Import, and choose the downloaded file.',
      'Enter the password above.',
    ),
  },
  device: {
    label: 'Server or another device',
    forms: ['command', 'browser', 'p12', 'p12_legacy', 'mobileconfig'],
    steps: steps('Import the file with the tools of the device. The password is the one above.'),
  },
});

/**
 * Returns the device that the invite is for, or else the one that the browser seems to run on.
 * @param {string} wanted Of the invite. `device` means any.
 * @param {string} agent `navigator.userAgent`.
 * @param {number} touches `navigator.maxTouchPoints`, because an iPad says that it is a Mac.
 * @returns {string}
 */
export function deviceFor(wanted, agent, touches) {
  if (Object.hasOwn(DEVICES, wanted) && wanted !== 'device') return wanted;
  if (/iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && touches > 1)) return 'iphone';
  if (/Android/.test(agent)) return 'android';
  if (/Firefox\//.test(agent)) return 'firefox';
  if (/Macintosh/.test(agent)) return 'macos';
  if (/Windows/.test(agent)) return 'windows';
  if (/Linux|CrOS/.test(agent)) return 'linux';
  return 'device';
}

/**
 * Returns the forms that can be had: the command needs a server that enrols.
 * @param {string} device
 * @param {boolean} canEnrol
 * @returns {readonly Form[]}
 */
export function formsOf(device, canEnrol) {
  const forms = DEVICES[device]?.forms ?? [];
  return forms.filter((form) => canEnrol || form !== 'command');
}
