// Stress: more than it can take. Whoever is not answered is refused, in order and soon, and when
// the flood is over everybody is answered again.

import { check } from 'k6';
import exec from 'k6/execution';

import { ask, askFrom, clientAddress, isAnswer, isRefusal } from './lib/asking.js';
import { pause } from './lib/chance.js';
import { anyQuestion } from './lib/clients.js';
import { clients, duration, number, seconds, within } from './lib/settings.js';
import { report } from './lib/summary.js';

const length = duration('2m');
const peak = Math.max(1, number('RATE', 1000));
const many = clients(100);

export const options = {
  scenarios: {
    flood: {
      executor: 'ramping-arrival-rate',
      exec: 'flood',
      timeUnit: '1s',
      startRate: Math.ceil(peak / 10),
      preAllocatedVUs: many,
      maxVUs: many * 4,
      stages: [
        { duration: seconds(length * 0.4), target: Math.ceil(peak / 2) },
        { duration: seconds(length * 0.2), target: Math.ceil(peak) },
        { duration: seconds(length * 0.4), target: Math.ceil(peak) },
      ],
      gracefulStop: '5s',
    },
    after: {
      executor: 'per-vu-iterations',
      exec: 'after',
      vus: 1,
      iterations: 10,
      startTime: seconds(length + 7),
      maxDuration: '1m',
    },
  },
  thresholds: {
    'checks{scenario:flood}': ['rate>0.999'],
    'http_req_duration{scenario:flood}': [within(99, 3000)],
    'http_reqs{scenario:flood}': ['count>0'],
    'checks{scenario:after}': ['rate==1'],
    'http_reqs{scenario:after}': ['count>0'],
    'http_req_duration{scenario:after}': [within(95, 500)],
  },
};

export function flood() {
  const client = clientAddress(exec.scenario.iterationInTest);
  const [response] = askFrom(client, anyQuestion());
  check(response, { 'answered, or refused in order': (it) => isAnswer(it) || isRefusal(it) });
}

export function after() {
  ask(anyQuestion());
  pause(0.2, 0.2);
}

export const handleSummary = report('stress');
