// Smoke: one client of each kind, once. Is it up, and does it answer everybody?

import { check } from 'k6';
import http from 'k6/http';

import { CLIENTS } from './lib/clients.js';
import { BASE_URL, within } from './lib/settings.js';
import { report } from './lib/summary.js';

export const options = {
  scenarios: { smoke: { executor: 'per-vu-iterations', vus: 1, iterations: 1, maxDuration: '2m' } },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    http_req_duration: [within(95, 1500)],
  },
};

export default function () {
  for (const path of ['/health/live', '/health/ready', '/openapi.json']) {
    const response = http.get(BASE_URL + path);
    check(response, { [`${path} is 200`]: (one) => one.status === 200 });
  }
  for (const client of Object.values(CLIENTS)) {
    client.visit();
  }
}

export const handleSummary = report('smoke');
