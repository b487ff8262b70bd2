// What an operator does between the questions: containers to sleep, faults of the sandbox.

import { sleep } from 'k6';
import http from 'k6/http';

import { BASE_URL, address, text } from './settings.js';

const TRIES = 60;
const REST = 0.5;

// Put the container to sleep; false if it is in use for half a minute, or did not go down.
export function putToSleep(name) {
  const path = `${BASE_URL}/automation/containers/${encodeURIComponent(name)}`;
  for (let tried = 0; tried < TRIES; tried += 1) {
    const response = http.post(`${path}/sleep`, null, operating());
    if (response.status === 200 && response.json('state') === 'asleep') {
      return true;
    }
    sleep(REST);
  }
  return false;
}

// Ends the run unless the gateway has that container and lets us operate it.
export function demandContainer(name) {
  const path = `${BASE_URL}/automation/containers/${encodeURIComponent(name)}`;
  const response = http.get(path, operating());
  if (response.status !== 200) {
    throw new Error(
      `${BASE_URL} has no container ${name} that we may put to sleep (${response.status}): ` +
        'set CONTAINER, and ADMIN_KEY if the gateway has ADMIN_API_KEYS'
    );
  }
}

// From now on the sandbox does these things wrong, and no others; an empty list mends it.
export function setFaults(faults) {
  const url = `${address('SANDBOX_URL', '')}/__sandbox__/faults`;
  const response = http.put(url, JSON.stringify(faults), { tags: { name: 'operator' } });
  if (response.status !== 200) {
    throw new Error(`${url} answers ${response.status}: ${response.body || response.error}`);
  }
}

// Not from a client's address: without keys, only who is on this machine may operate.
function operating() {
  const key = text('ADMIN_KEY', '');
  const headers = key === '' ? {} : { 'X-API-Key': key };
  return {
    headers,
    tags: { name: 'operator' },
    timeout: '60s',
    responseCallback: http.expectedStatuses({ min: 200, max: 499 }),
  };
}
