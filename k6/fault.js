// Fault: the upstream refuses everybody for a third of the time. What was known before is answered
// all the same, what was not is refused in order, and when it is over new things are learned again.
//
// The gateway has to be on a sandbox (SANDBOX_URL), with fresh times shorter than the fault, as in
// CACHE_TTL_LIVE=1s: else nothing gets old, and nobody notices.

import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';

import { ask, askFrom, get, isAnswer, isRefusal, isStale, thisClient } from './lib/asking.js';
import { below, pause } from './lib/chance.js';
import { setFaults } from './lib/operator.js';
import { clients, duration, seconds, text, within } from './lib/settings.js';
import { report } from './lib/summary.js';

const FAULT = { answer: text('FAULT', 'refuse'), retry_after: 1 };
const FIRST_KNOWN = 200000;
const HEROES_KNOWN = 40;
// Nobody else asks for these.
const FIRST_NEW = FIRST_KNOWN + HEROES_KNOWN;
const NEW = 400;
const PATIENCE = 60;

const phase = duration('90s') / 3;
const many = clients(20);
const old = new Counter('known_and_old');
const recoveries = new Counter('recoveries');
const recovery = new Trend('recovery', true);

export const options = {
  scenarios: {
    before: { ...asking('known', many), duration: seconds(phase) },
    break: { ...once('breakIt'), startTime: seconds(phase) },
    // A moment later, when the fault has surely begun.
    during: { ...asking('known', many), startTime: seconds(phase + 0.5), duration: seconds(phase) },
    strangers: { ...asking('unknown', 1), startTime: seconds(phase + 0.5), duration: seconds(phase) },
    mend: { ...once('mendIt'), startTime: seconds(phase * 2 + 6) },
    after: { ...asking('known', many), startTime: seconds(phase * 2 + 6), duration: seconds(phase) },
  },
  thresholds: {
    'checks{scenario:before}': ['rate==1'],
    'checks{scenario:during}': ['rate==1'],
    'http_req_duration{scenario:during}': [within(95, 500)],
    'checks{scenario:strangers}': ['rate==1'],
    'http_req_duration{scenario:strangers}': [within(95, 5000)],
    'checks{scenario:after}': ['rate==1'],
    'http_reqs{scenario:after}': ['count>0'],
    // Else the fault was never met, and all of the above says nothing.
    'known_and_old{scenario:during}': ['count>0'],
    'http_reqs{scenario:strangers}': ['count>0'],
    recoveries: ['count==1'],
    recovery: [within(95, 15000)],
  },
};

export function setup() {
  setFaults([]);
  for (let place = 0; place < HEROES_KNOWN; place += 1) {
    ask(get('known', `/players/${FIRST_KNOWN + place}`));
  }
}

export function teardown() {
  setFaults([]);
}

export function known() {
  const [response] = ask(get('known', `/players/${FIRST_KNOWN + below(HEROES_KNOWN)}`));
  old.add(isAnswer(response) && isStale(response) ? 1 : 0);
  pause(0.1, 0.3);
}

// Nobody has asked for that hero, so nothing can be known of it: to refuse is the right answer.
export function unknown() {
  const [response] = askFrom(thisClient(), newHero());
  check(response, { 'refused in order': isRefusal });
  pause(0.1, 0.3);
}

export function breakIt() {
  setFaults([FAULT]);
}

// From then until something new is learned.
export function mendIt() {
  setFaults([]);
  const began = Date.now();
  let learned = false;
  while (!learned && Date.now() - began < PATIENCE * 1000) {
    const [response] = askFrom(thisClient(), newHero());
    learned = isAnswer(response);
    sleep(learned ? 0 : 0.2);
  }
  recoveries.add(learned ? 1 : 0);
  recovery.add(Date.now() - began);
}

function newHero() {
  return get('unknown', `/players/${FIRST_NEW + (exec.scenario.iterationInTest % NEW)}`);
}

function asking(what, count) {
  return { executor: 'constant-vus', exec: what, vus: count, gracefulStop: '5s' };
}

function once(what) {
  return { executor: 'per-vu-iterations', exec: what, vus: 1, iterations: 1, maxDuration: '2m' };
}

export const handleSummary = report('fault');
