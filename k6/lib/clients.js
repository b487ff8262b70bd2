// What each kind of client asks, as the clients of the game's API really do it.
//
// One call is one visit; `rest` is what the client does before the next.

import { ask, get, post } from './asking.js';
import { below, clan, goods, hero, heroes, name, pause } from './chance.js';

const SKILLS = [
  'total', 'melee', 'ranged', 'magic', 'defence', 'health', 'mining', 'woodcutting', 'fishing',
  'smithing', 'thieving', 'crafting', 'cooking', 'firemaking', 'farming', 'alchemy', 'fletching',
  'forging',
];
const EVERY_SO_OFTEN = 10;

// A page with somebody's heroes: all of them in parallel, then what they do and what they own.
export function roster() {
  const ids = heroes(3 + below(6));
  const page = ids.map((id) => get('/players/{id}', `/players/${id}`));
  const [first] = ask(
    ...page,
    get('/core-data', '/core-data'),
    get('/clan-members/{id}', `/clan-members/${ids[0]}`)
  );
  const doing = '/queued-actions/multi?isActive=true&orderDirection=asc&numToFetch=1000';
  const more = [post('/queued-actions/multi', doing, { playerIds: ids })];
  const owner = ownerOf(first);
  if (owner !== null) {
    more.push(get('/user-item-nfts/{address}', `/user-item-nfts/${owner}`));
  }
  ask(...more);
}

// Somebody types a name, half a second a letter, and looks at whom was found.
export function search() {
  const sought = name();
  for (let typed = 2; typed <= Math.min(6, sought.length); typed += 1) {
    ask(get('/players?name', `/players?name=${sought.slice(0, typed)}`));
    pause(0.4, 0.6);
  }
  ask(get('/clan-members/{id}', `/clan-members/${hero()}`));
}

// A bot that tells who is the first in each skill, one question after the other, and the top ten.
export function leaderboard() {
  for (const skill of SKILLS) {
    const best = `orderBy=${skill}XP&orderDirection=desc&numToFetch=1`;
    ask(get('/players?orderBy', `/players?${best}`));
  }
  const ten = 'orderDirection=desc&numToFetch=10';
  ask(get('/players?orderBy', `/players?orderBy=totalXP&${ten}`));
  ask(get('/clans?orderBy', `/clans?orderBy=totalLevel&${ten}`));
  ask(get('/clans?orderBy', `/clans?orderBy=totalDonated&${ten}`));
}

// A market tool: the whole book for the cheapest offer of each item, and the items now and then.
export function market() {
  if (below(EVERY_SO_OFTEN) === 0) {
    ask(get('/items', '/items'));
  }
  // isBuyOrder is no parameter of the upstream; clients send it all the same.
  ask(get('/orders', '/orders?isBuyOrder=false'));
  ask(
    get('/token-infos', '/token-infos'),
    get('/price-levels', `/price-levels?tokenId=${goods()}`)
  );
}

// A program that looks whether heroes still have something to do.
export function keeper() {
  for (const id of heroes(4)) {
    const [found] = ask(get('/players/{id}', `/players/${id}`));
    const owner = ownerOf(found);
    if (owner !== null) {
      ask(get('/players?owner', `/players?owner=${owner}&simplified=true`));
    }
    ask(get('/queued-actions', `/queued-actions?playerId=${id}&isActive=true`));
  }
  ask(get('/clan-members', `/clan-members?clanId=${clan()}`));
}

// Shares of all clients, seconds between two visits, and milliseconds in which 95 of 100 answers
// have to be there.
export const CLIENTS = {
  roster: { visit: roster, share: 0.4, rest: [5, 15], bound: 500 },
  search: { visit: search, share: 0.25, rest: [3, 10], bound: 500 },
  market: { visit: market, share: 0.15, rest: [20, 40], bound: 1500 },
  leaderboard: { visit: leaderboard, share: 0.1, rest: [20, 60], bound: 500 },
  keeper: { visit: keeper, share: 0.1, rest: [20, 60], bound: 500 },
};

// One visit of such a client, and its rest.
export function visit(kind) {
  const client = CLIENTS[kind];
  client.visit();
  pause(...client.rest);
}

// The questions of many clients, one at a time.
export function anyQuestion() {
  const draw = Math.random();
  if (draw < 0.5) {
    return get('/players/{id}', `/players/${hero()}`);
  }
  if (draw < 0.7) {
    return get('/players?name', `/players?name=${name().slice(0, 2 + below(4))}`);
  }
  if (draw < 0.85) {
    return get('/clan-members/{id}', `/clan-members/${hero()}`);
  }
  if (draw < 0.95) {
    const skill = SKILLS[below(SKILLS.length)];
    const best = `orderBy=${skill}XP&orderDirection=desc&numToFetch=1`;
    return get('/players?orderBy', `/players?${best}`);
  }
  return get('/price-levels', `/price-levels?tokenId=${goods()}`);
}

function ownerOf(response) {
  if (response.status !== 200) {
    return null;
  }
  const row = response.json('player.owner');
  return typeof row === 'string' ? row : null;
}
