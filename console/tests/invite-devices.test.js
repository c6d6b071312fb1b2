// The device of an invite, and the forms that fit it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEVICES, FORMS, deviceFor, formsOf } from '../invite/devices.js';

const AGENTS = {
  iphone: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile Safari/604.1',
  android: 'Mozilla/5.0 (Linux; Android 10; K) Chrome/137.0.0.0 Mobile Safari/537.36',
  firefox: 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  macos: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.5 Safari/605.1.15',
  windows: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/137.0.0.0 Safari/537.36',
  linux: 'Mozilla/5.0 (X11; Linux x86_64) Chrome/137.0.0.0 Safari/537.36',
  device: 'curl/8',
};

test('an invite for any device is for the one that opens it', () => {
  for (const [device, agent] of Object.entries(AGENTS)) {
    assert.equal(deviceFor('device', agent, 0), device);
  }
  // An iPad says that it is a Mac.
  assert.equal(deviceFor('device', AGENTS.macos, 5), 'iphone');
});

test('an invite for a device is for that one, whatever opens it', () => {
  assert.equal(deviceFor('iphone', AGENTS.linux, 0), 'iphone');
  assert.equal(deviceFor('toString', AGENTS.linux, 0), 'linux');
});

test('each form of each device has steps, and the command needs enrolment', () => {
  for (const [device, { forms, steps }] of Object.entries(DEVICES)) {
    for (const form of forms) {
      assert(form in FORMS);
      assert(steps(form).length > 0 && steps(form).every((step) => step.length > 5));
    }
    assert(!formsOf(device, false).includes('command'));
    assert(formsOf(device, false).length > 0);
  }
  assert.equal(formsOf('device', true)[0], 'command');
});
