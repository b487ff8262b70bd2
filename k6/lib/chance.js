// What is drawn: numbers, pauses, and who is asked for.

import { sleep } from 'k6';

import { PACE, number } from './settings.js';

const FIRST_HERO = 200000;
const FIRST_CLAN = 30000;
const HEROES = number('HEROES', 500);
const CLANS = number('CLANS', 20);
const NAMES = ['morapaw', 'vexadale', 'shadow', 'dragon', 'eldrin', 'kestrel', 'ember', 'night'];
// Bars, logs, raw fish, ores: what is traded most.
const GOODS = [10240, 10496, 10497, 10752, 11520, 11521, 11776, 12840];

// A whole number from 0 up to, and without, `end`.
export function below(end) {
  return Math.floor(Math.random() * end);
}

// A place in a list of `count` in which the first are asked for far more often than the last.
export function popular(count) {
  return Math.floor(count * Math.pow(Math.random(), 3));
}

export function oneOf(list) {
  return list[below(list.length)];
}

export function hero() {
  return String(FIRST_HERO + popular(HEROES));
}

// The ids of `count` heroes that are played together.
export function heroes(count) {
  const first = FIRST_HERO + popular(Math.max(1, HEROES - count));
  return Array.from({ length: count }, (_, place) => String(first + place));
}

export function clan() {
  return String(FIRST_CLAN + popular(CLANS));
}

export function name() {
  return oneOf(NAMES);
}

export function goods() {
  return String(oneOf(GOODS));
}

export function pause(least, most) {
  sleep(PACE * (least + Math.random() * (most - least)));
}
