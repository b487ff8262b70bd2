// Cold start: a container sleeps, many ask at once for what needs it, and all of them get it.
// Those who need nothing from it notice nothing.

import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

import { ask, askFrom, get, isAnswer, thisClient } from './lib/asking.js';
import { pause } from './lib/chance.js';
import { demandContainer, putToSleep } from './lib/operator.js';
import { clients, duration, number, seconds, text, within } from './lib/settings.js';
import { report } from './lib/summary.js';

const CONTAINER = text('CONTAINER', 'mongodb');
const NEEDS_IT = get('needs the container', text('COLD_PATH', '/v1/store'));
// Game definitions: fresh for hours, and in memory once somebody has asked.
const KNOWN = ['/actions/1', '/actions/2', '/items/10240'].map((path) => get('known', path));

const length = duration('2m');
const visitors = clients(20);
const waited = new Trend('cold_start', true);
const starts = new Counter('cold_starts');

export const options = {
  batch: visitors,
  batchPerHost: visitors,
  scenarios: {
    visitors: { ...during('coldVisit'), gracefulStop: '1m' },
    others: { ...during('others'), gracefulStop: '5s' },
  },
  thresholds: {
    checks: ['rate==1'],
    cold_starts: ['count>0'],
    cold_start: [within(95, number('COLD_MS', 5000))],
    'http_req_duration{scenario:others}': [within(95, 200)],
  },
};

export function setup() {
  demandContainer(CONTAINER);
  ask(...KNOWN);
}

// Everybody at once, while it sleeps; how long the last of them waited.
export function coldVisit() {
  if (!check(putToSleep(CONTAINER), { 'it could be put to sleep': (done) => done })) {
    return;
  }
  const crowd = Array.from({ length: visitors }, () => NEEDS_IT);
  const responses = askFrom(thisClient(), ...crowd);
  responses.forEach((response) => check(response, { 'woken and answered': isAnswer }));
  waited.add(Math.max(...responses.map((response) => response.timings.duration)));
  starts.add(1);
  pause(1, 2);
}

export function others() {
  ask(...KNOWN);
  pause(0.5, 1);
}

function during(what) {
  return { executor: 'constant-vus', exec: what, vus: 1, duration: seconds(length) };
}

export const handleSummary = report('cold_start');
