// Asking the gateway, and judging what comes back.

import { check } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Rate } from 'k6/metrics';

import { BASE_URL } from './settings.js';

// Share of answers that were known already.
export const fromCache = new Rate('answered_from_cache');
// Answers that were known already, and past their time.
export const stale = new Counter('answered_stale');
// A status other than 200, or one of those that the run expects; `status` tells which.
const oddStatus = new Counter('odd_status');

// A question: `name` is what it is called in figures, `body` makes it a POST.
export function get(name, path) {
  return { name, path };
}

export function post(name, path, body) {
  return { name, path, body: JSON.stringify(body) };
}

// Ask all at once, as a page does that loads; every answer has to be a good one. The responses.
export function ask(...questions) {
  const responses = askFrom(thisClient(), ...questions);
  responses.forEach((response) => {
    check(response, {
      'status is 200': isAnswer,
      'body is JSON': hasJson,
      'says where it came from': (one) => cacheStatus(one).startsWith('drawbridge;'),
    });
  });
  return responses;
}

// Ask all at once from that address, and count; what is good is up to the caller.
export function askFrom(address, ...questions) {
  const responses = http.batch(questions.map((question) => request(question, address)));
  responses.forEach(count);
  return responses;
}

export function isAnswer(response) {
  return response.status === 200;
}

// Refused, and told when to come again.
export function isRefusal(response) {
  return [429, 502, 503, 504].includes(response.status) && 'Retry-After' in response.headers;
}

export function hasJson(response) {
  return typeof response.body === 'string' && response.body.startsWith('{');
}

export function isStale(response) {
  const ttl = /; hit; ttl=(-?\d+)/.exec(cacheStatus(response));
  return ttl !== null && (Number(ttl[1]) < 0 || cacheStatus(response).includes('stale-error'));
}

// An address of its own for each client: the gateway counts by address what a client may ask. It
// believes it if TRUSTED_PROXIES names the machine that this runs on, and else counts us as one.
export function clientAddress(client) {
  return `10.${(client >> 16) & 255}.${(client >> 8) & 255}.${client & 255}`;
}

export function thisClient() {
  return clientAddress(exec.vu.idInTest);
}

function request(question, address) {
  const headers = { 'Accept-Encoding': 'gzip, deflate, br', 'X-Forwarded-For': address };
  if (question.body !== undefined) {
    headers['Content-Type'] = 'application/json';
  }
  return {
    method: question.body === undefined ? 'GET' : 'POST',
    url: BASE_URL + question.path,
    body: question.body,
    params: { headers, tags: { name: question.name }, timeout: '30s' },
  };
}

function cacheStatus(response) {
  return response.headers['Cache-Status'] || '';
}

function count(response) {
  if (isAnswer(response)) {
    fromCache.add(cacheStatus(response).includes('; hit'));
    stale.add(isStale(response) ? 1 : 0);
  } else {
    oddStatus.add(1, { status: String(response.status) });
  }
}
