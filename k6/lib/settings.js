// What a run is told by its environment. A value that makes no sense ends it before it begins.

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600 };

export const BASE_URL = address('BASE_URL', 'http://127.0.0.1:8000');
// Seconds of a pause are multiplied by PACE: 1 is what people and programs really do.
export const PACE = number('PACE', 1);
// Times that an answer may take are multiplied by SLACK: more than 1 on a slow or busy machine.
export const SLACK = number('SLACK', 1);

export function text(name, usual) {
  const value = __ENV[name];
  return value === undefined || value === '' ? usual : value;
}

export function number(name, usual) {
  const value = Number(text(name, usual));
  if (!(value >= 0)) {
    throw new Error(`${name}: ${__ENV[name]} is not a number`);
  }
  return value;
}

// How many clients, at least one.
export function clients(usual) {
  return Math.max(1, Math.round(number('VUS', usual)));
}

// How long the main part takes, in seconds: DURATION is written 30s, 10m or 2h.
export function duration(usual) {
  const written = text('DURATION', usual);
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(written);
  if (!found || Number(found[1]) === 0) {
    throw new Error(`DURATION: ${written} is not written 30s, 10m or 2h`);
  }
  return Number(found[1]) * UNITS[found[2]];
}

// Without a slash at its end.
export function address(name, usual) {
  const value = text(name, usual);
  if (!/^https?:\/\//.test(value)) {
    throw new Error(`${name}: set it to an address like http://127.0.0.1:8000`);
  }
  return value.replace(/\/+$/, '');
}

// Seconds as k6 wants to have them.
export function seconds(count) {
  return `${Math.max(1, Math.round(count * 1000))}ms`;
}

// A threshold on a time in milliseconds.
export function within(percentile, milliseconds) {
  return `p(${percentile})<${milliseconds * SLACK}`;
}
