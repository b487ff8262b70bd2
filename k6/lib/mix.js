// All kinds of clients at once, in their shares, and what they have a right to.

import { CLIENTS } from './clients.js';
import { seconds, within } from './settings.js';

// One scenario for each kind: `count` clients together that come within a tenth of `length`
// seconds and stay. Its function in the script is called `KINDClient`.
export function scenarios(count, length) {
  const entries = Object.entries(CLIENTS).map(([kind, client]) => [
    kind,
    {
      executor: 'ramping-vus',
      exec: `${kind}Client`,
      startVUs: 1,
      stages: [
        { duration: seconds(length / 10), target: Math.max(1, Math.round(count * client.share)) },
        { duration: seconds((length * 9) / 10), target: Math.max(1, Math.round(count * client.share)) },
      ],
      gracefulRampDown: '3s',
      gracefulStop: '3s',
      tags: { client: kind },
    },
  ]);
  return Object.fromEntries(entries);
}

// Nobody is left without a good answer, and each kind gets it in its own time.
//
// A rate or a time of nothing holds, which is why all that must happen is counted too.
export function thresholds() {
  const all = { http_req_failed: ['rate<0.001'], checks: ['rate>0.999'] };
  for (const [kind, client] of Object.entries(CLIENTS)) {
    all[`http_req_duration{client:${kind}}`] = [within(95, client.bound)];
    all[`http_reqs{client:${kind}}`] = ['count>0'];
  }
  return all;
}
