// How values are told. Pure: values in, words out.

const plural = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
const MINUTE = 60, HOUR = 3600, DAY = 86400;

/** A figure and its unit, which stay on one line. */
const figure = (amount, unit) => `${amount}\u00a0${unit}`;

/** A time in seconds, as exact as it is of use: "4 s", "12 min", "3 h", "5 days". */
export function span(seconds) {
  const left = Math.max(0, seconds);
  if (left < 99.5) return figure(Math.round(left), "s");
  if (left < 99.5 * MINUTE) return figure(Math.round(left / MINUTE), "min");
  if (left < 48 * HOUR) return figure(Math.round(left / HOUR), "h");
  return figure(Math.round(left / DAY), "days");
}

/** Bytes for a time: "0.4 GB h"; the gateway counts them in byte seconds. */
export function byteHours(byteSeconds) {
  const mega = byteSeconds / HOUR / 1e6;
  if (mega === 0) return "Nothing yet";
  if (mega < 1) return figure("< 1", "MB h");
  if (mega < 999.5) return figure(Number(mega.toPrecision(3)), "MB h");
  return figure(Number((mega / 1000).toFixed(1)).toLocaleString("en"), "GB h");
}

/** A share as a percentage; a dash if there is nothing to have a share of. */
export function share(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  // What is not all is not told as all.
  const shown = part < whole ? Math.min(percent, 99.9) : percent;
  return figure(shown.toFixed(1).replace(/\.0$/, ""), "%");
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** The container's state with how long it has been in it, `later` seconds after it was told. */
export function stateWords(view, later) {
  return capital(`${view.state} for ${span(view.since + later)}`);
}

/** What keeps it up and when it will sleep, or what went wrong. */
export function whyWords(view, later) {
  if (view.error) return view.error;
  if (view.state !== "awake") return "";
  const recent = view.keeper === "used not long ago";
  const kept = recent ? `used ${span(view.idle_seconds + later)} ago` : view.keeps_awake;
  const sleep = view.sleeps_in === null ? "" : `sleeps in ${span(view.sleeps_in - later)}`;
  const words = [kept && `Kept up: ${kept}`, sleep].filter(Boolean).join("; ");
  return words && capital(`${words}.`);
}

/** What it is and what it is for, in one line. */
export function factWords(view) {
  const facts = [view.image];
  if (view.provides.length) facts.push(`gives ${view.provides.join(", ")}`);
  if (view.priority !== "normal") facts.push(`${view.priority} priority`);
  if (view.depends_on.length) facts.push(`needs ${view.depends_on.join(", ")}`);
  if (view.doubts.length) facts.push(`no answer from: ${view.doubts.join(", ")}`);
  return facts.join(" · ");
}

/** What an operator can do to it now. */
export function doable(view) {
  const up = view.state === "awake" || view.state === "draining";
  return { wake: view.state === "asleep" || view.state === "failed", sleep: up };
}

/** How the cache answered: `[share answered without the upstream, a note]`. */
export function hitWords(answers) {
  const all = Object.values(answers).reduce((sum, count) => sum + count, 0);
  const note = all ? `of ${plural(all, "answer")} since the gateway began` : "Nothing was asked yet";
  const old = answers["stale-error"] ? `; ${answers["stale-error"]} because the upstream failed` : "";
  return [share(all - (answers.miss || 0), all), note + old];
}

/** How the upstream is: `[a word, a note]`. */
export function upstreamWords(upstream) {
  const host = upstream.url.replace(/^https?:\/\//, "");
  if (upstream.ok && upstream.failing_operations.length) {
    return ["Failing in part", `${host}: ${upstream.failing_operations.join(", ")} fail`];
  }
  if (upstream.ok) return ["Answering", host];
  const next = upstream.next_try_in > 0 ? `; tried again in ${span(upstream.next_try_in)}` : "";
  return ["Failing", `${upstream.last_error || host}${next}`];
}

/** A sync job's age and what is wrong with it, at `now` (milliseconds since 1970). */
export function jobWords(job, now) {
  const held = Object.values(job.held);
  if (job.error) return `failed ${plural(job.failures, "time")}: ${job.error}`;
  if (held.length) return `held: ${held.join("; ")}`;
  if (!job.last_good) return "never yet";
  return `${span((now - Date.parse(job.last_good)) / 1000)} old, ${plural(job.rows, "row")}`;
}
