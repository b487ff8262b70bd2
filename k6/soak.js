// Soak: the load of a good day for long. Does it stay as it was?

import { check } from 'k6';
import http from 'k6/http';
import { Trend } from 'k6/metrics';

import { pause } from './lib/chance.js';
import { visit } from './lib/clients.js';
import { scenarios, thresholds } from './lib/mix.js';
import { BASE_URL, clients, duration, seconds, within } from './lib/settings.js';
import { report } from './lib/summary.js';

const length = duration('1h');
const remembered = new Trend('memory_tier_bytes');
let lastUptime = 0;

export const options = {
  scenarios: {
    ...scenarios(clients(30), length),
    watch: {
      executor: 'constant-vus',
      exec: 'watch',
      vus: 1,
      duration: seconds(length),
      gracefulStop: '3s',
    },
    // After all of it, the same question must still be answered as fast as a known one is.
    after: {
      executor: 'per-vu-iterations',
      exec: 'after',
      vus: 1,
      iterations: 20,
      startTime: seconds(length + 4),
      maxDuration: '1m',
    },
  },
  thresholds: {
    ...thresholds(),
    'checks{scenario:watch}': ['rate==1'],
    'http_reqs{scenario:watch}': ['count>0'],
    'checks{scenario:after}': ['rate==1'],
    'http_reqs{scenario:after}': ['count>0'],
    'http_req_duration{scenario:after}': [within(95, 100)],
  },
};

export const rosterClient = () => visit('roster');
export const searchClient = () => visit('search');
export const marketClient = () => visit('market');
export const leaderboardClient = () => visit('leaderboard');
export const keeperClient = () => visit('keeper');

// It did not start anew behind our back, and everything it learned was written.
export function watch() {
  const response = http.get(`${BASE_URL}/health`);
  const health = response.status === 200 ? response.json() : null;
  check(health, {
    'it runs on': (it) => it !== null && it.uptime_seconds > lastUptime,
    'no write is lost': (it) => it !== null && it.cache.store.dropped_writes === 0,
  });
  if (health !== null) {
    lastUptime = health.uptime_seconds;
    remembered.add(health.cache.memory.bytes);
  }
  pause(10, 10);
}

export function after() {
  const response = http.get(`${BASE_URL}/core-data`);
  check(response, { 'status is 200': (one) => one.status === 200 });
}

export const handleSummary = report('soak');
