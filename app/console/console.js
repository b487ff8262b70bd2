// The operators' page: asks for everything every few seconds, and at once when a container moves.
import * as words from "/console/words.js";

const KEPT_AS = "drawbridge operator key";
const REFRESH = 5_000, ANSWER_WITHIN = 15_000, ACTION_WITHIN = 15 * 60_000;
const SILENT = 45_000; // The stream has a pulse every 15 s: without one it is dead.
const MOST_EVENTS = 50, RECONNECT = 1_000, RECONNECT_MOST = 15_000;

const find = (id) => document.getElementById(id);
const later = (ms) => new Promise((done) => setTimeout(done, ms));
const cards = new Map();
let key = sessionStorage.getItem(KEPT_AS);
let board = null, toldAt = 0; // The last overview, and when it came.
let asking = null, askAgain = false, stream = null;

/** An answer that is an error, in words. */
class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path, { method = "GET", signal = AbortSignal.timeout(ANSWER_WITHIN) } = {}) {
  const headers = key ? { "X-API-Key": key } : {};
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, cache: "no-store" });
  } catch (error) {
    const slow = error.name === "TimeoutError";
    throw new Refused(0, slow ? "The gateway did not answer in time." : "The gateway cannot be reached.");
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, problem.detail || `The gateway answered ${answer.status}.`);
}

/** Text is set only where it differs: what did not change stays selected, and is not read again. */
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
  return element;
}

function tell(element, text) {
  element.hidden = !text;
  put(element, text);
}

/** Disabled, but still there for the keyboard: what has the focus must not vanish. */
function allow(button, allowed) {
  button.setAttribute("aria-disabled", String(!allowed));
}

// ---------------------------------------------------------------- signing in and out

function signedOut(reason = "") {
  key = null;
  sessionStorage.removeItem(KEPT_AS);
  stream?.abort();
  stream = board = null;
  cards.clear();
  for (const list of ["containers", "jobs", "events"]) find(list).replaceChildren();
  put(find("told"), "");
  find("no-events").hidden = false;
  find("board").hidden = find("sign-out").hidden = true;
  find("link").dataset.link = "none";
  put(find("link"), "");
  tell(find("alarm"), "");
  put(find("about"), "");
  find("sign-in").hidden = false;
  tell(find("key-trouble"), reason);
  find("key").focus();
}

async function signIn(submitted) {
  submitted.preventDefault();
  tell(find("key-trouble"), "");
  const typed = find("key").value.trim();
  // Headers carry nothing else.
  if (!/^[\x21-\x7e]+$/.test(typed)) return tell(find("key-trouble"), "This is not a key.");
  key = typed;
  try {
    show(await (await ask("/console/overview")).json());
  } catch (error) {
    return signedOut(error.status === 401 ? "No such key is known here." : error.message);
  }
  sessionStorage.setItem(KEPT_AS, key);
  find("key").value = "";
  begin();
  find("main").focus();
}

function begin() {
  find("sign-in").hidden = true;
  find("sign-out").hidden = !key;
  follow();
}

// ---------------------------------------------------------------- what is shown

async function refresh() {
  if (asking) {
    askAgain = true;
    return asking;
  }
  asking = (async () => {
    const asked = key;
    try {
      const overview = await (await ask("/console/overview")).json();
      if (asked !== key) return;
      tell(find("alarm"), "");
      show(overview);
    } catch (error) {
      if (asked !== key) return;
      if (error.status === 401) return signedOut("The key is not known any more.");
      tell(find("alarm"), board ? `${error.message} What you see is old.` : error.message);
    }
  })();
  await asking;
  asking = null;
  if (askAgain) {
    askAgain = false;
    await refresh();
  }
}

function show(overview) {
  board = overview;
  toldAt = performance.now();
  find("board").hidden = false;
  const { health, answers, savings, jobs } = overview;
  showContainers();
  pair("hits", ...words.hitWords(answers));
  pair("upstream", ...words.upstreamWords(health.upstream));
  find("upstream").dataset.ok = health.upstream.ok;
  showSavings(savings);
  lines(find("jobs"), jobs.map((job) => [job.job, words.jobWords(job, Date.now()), ""]));
  find("no-jobs").hidden = jobs.length > 0;
  const automation = health.containers;
  put(find("no-containers"), automation.available ? "No container has opted in." : `Automation is off: ${automation.reason}`);
  put(find("about"), `Drawbridge ${health.version}, up for ${words.span(health.uptime_seconds)}`);
}

function pair(id, value, note) {
  put(find(id), value);
  put(find(`${id}-note`), note);
}

function showSavings({ since, totals }) {
  const known = totals.awake_seconds + totals.asleep_seconds;
  const from = since ? ` since ${new Date(since).toLocaleDateString("en", { day: "numeric", month: "long" })}` : "";
  pair("saved", words.byteHours(totals.memory_saved_byte_seconds), `estimated; asleep ${words.share(totals.asleep_seconds, known)} of the time${from}`);
  const { count, median } = totals.wake_seconds;
  const failed = (totals.wakes.failed || 0) + (totals.wakes.slow || 0);
  pair("wakes", String(totals.wakes.ready || 0), [
    count ? `half of them within ${median} s` : "nobody had to wait yet",
    failed && `${failed} did not come up`,
  ].filter(Boolean).join("; "));
}

function lines(list, rows) {
  while (list.children.length > rows.length) list.lastElementChild.remove();
  rows.forEach(([name, text, time], at) => {
    const line = list.children[at] || list.appendChild(find("line").content.cloneNode(true).firstElementChild);
    put(line.querySelector("strong"), name);
    put(line.querySelector("span"), text);
    put(line.querySelector("time"), time);
  });
}

function showContainers() {
  const views = board.containers;
  const names = new Set(views.map((view) => view.name));
  for (const [name, card] of cards) if (!names.has(name)) cards.delete(name), card.remove();
  for (const [at, view] of views.entries()) {
    if (!cards.has(view.name)) cards.set(view.name, newCard(view.name));
    const card = cards.get(view.name);
    if (find("containers").children[at] !== card) find("containers").insertBefore(card, find("containers").children[at] || null);
    card.dataset.state = view.state;
    put(card.querySelector(".facts"), words.factWords(view));
    const can = words.doable(view);
    for (const button of card.querySelectorAll("button")) allow(button, can[button.dataset.do] && !card.dataset.busy);
  }
  find("no-containers").hidden = views.length > 0;
  tick();
}

/** What moves with the clock. */
function tick() {
  if (!board) return;
  const passed = (performance.now() - toldAt) / 1000;
  for (const view of board.containers) {
    const card = cards.get(view.name);
    put(card.querySelector(".state"), words.stateWords(view, passed));
    put(card.querySelector(".why"), words.whyWords(view, passed));
  }
}

// ---------------------------------------------------------------- what is done

function newCard(name) {
  const card = find("container").content.cloneNode(true).firstElementChild;
  put(card.querySelector("h3"), name);
  for (const button of card.querySelectorAll("button")) {
    put(button.querySelector(".unseen"), ` ${name}`);
    button.addEventListener("click", () => act(card, name, button));
  }
  return card;
}

async function act(card, name, button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const [deed, doing, done] = button.dataset.do === "wake" ? ["wake", "is being woken.", "is awake."] : ["sleep", "is put to sleep.", "is asleep."];
  card.dataset.busy = "yes";
  card.querySelectorAll("button").forEach((one) => allow(one, false));
  tell(card.querySelector(".trouble"), "");
  put(find("told"), `${name} ${doing}`);
  const path = `/automation/containers/${encodeURIComponent(name)}/${deed}`;
  try {
    await ask(path, { method: "POST", signal: AbortSignal.timeout(ACTION_WITHIN) });
    put(find("told"), `${name} ${done}`);
  } catch (error) {
    put(find("told"), "");
    if (error.status === 401) return signedOut("The key is not known any more.");
    tell(card.querySelector(".trouble"), error.message);
  } finally {
    delete card.dataset.busy;
  }
  await refresh();
}

// ---------------------------------------------------------------- what happens meanwhile

/** Follow the events until signed out. `EventSource` cannot send a key; `fetch` can. */
async function follow() {
  const mine = (stream = new AbortController());
  for (let pause = RECONNECT; !mine.signal.aborted; pause = Math.min(2 * pause, RECONNECT_MOST)) {
    await refresh();
    try {
      await read(mine, () => (pause = RECONNECT));
    } catch (error) {
      if (error.status === 401 && !mine.signal.aborted) return signedOut("The key is not known any more.");
    }
    if (mine.signal.aborted) return;
    link("lost", "Reconnecting");
    await later(pause);
  }
}

async function read(mine, begun) {
  const silence = new AbortController();
  let watch = setTimeout(() => silence.abort(), SILENT);
  try {
    const answer = await ask("/automation/events", { signal: AbortSignal.any([mine.signal, silence.signal]) });
    link("live", "Live");
    begun();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      clearTimeout(watch);
      watch = setTimeout(() => silence.abort(), SILENT);
      const events = (rest + piece.value).split("\n\n");
      rest = events.pop();
      events.forEach(take);
    }
  } finally {
    clearTimeout(watch);
  }
}

function take(text) {
  const field = (name) => text.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  if (field("event") !== "change") return;
  const { name, was, state, cause, detail, at } = JSON.parse(field("data"));
  const time = new Date(at * 1000).toLocaleTimeString("en-GB");
  const why = [cause, detail].filter(Boolean).join("; ");
  const list = find("events");
  list.prepend(find("line").content.cloneNode(true));
  const line = list.firstElementChild;
  put(line.querySelector("strong"), name);
  put(line.querySelector("span"), `${was} → ${state}${why && ` (${why})`}`);
  put(line.querySelector("time"), time);
  while (list.children.length > MOST_EVENTS) list.lastElementChild.remove();
  find("no-events").hidden = true;
  refresh();
}

function link(state, text) {
  find("link").dataset.link = state;
  put(find("link"), text);
}

find("sign-in").addEventListener("submit", signIn);
find("sign-out").addEventListener("click", () => signedOut());
setInterval(tick, 1_000);
setInterval(() => document.hidden || !stream || refresh(), REFRESH);
document.addEventListener("visibilitychange", () => document.hidden || !stream || refresh());
if (document.body.dataset.needsKey === "yes" && !key) signedOut();
else begin();
