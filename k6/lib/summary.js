// What a run found: a table on the terminal, and, if REPORT names a file without its ending, the
// same as HTML and everything as JSON.

import { page } from './page.js';
import { BASE_URL, text } from './settings.js';

// k6's `handleSummary` for the script of that name.
export function report(name) {
  return (data) => {
    const found = digest(name, data);
    const files = { stdout: terminal(found) };
    const path = text('REPORT', '');
    if (path !== '') {
      files[`${path}.json`] = JSON.stringify({ ...found, metrics: data.metrics }, null, 2);
      files[`${path}.html`] = page(found);
    }
    return files;
  };
}

// Every threshold with its verdict, and the figures of every metric, as rows of words.
function digest(name, data) {
  const thresholds = [];
  const figures = [];
  for (const [metric, found] of Object.entries(data.metrics).sort()) {
    for (const [rule, verdict] of Object.entries(found.thresholds || {})) {
      thresholds.push({ metric, rule, ok: verdict.ok });
    }
    const words = Object.entries(found.values).sort().map(([key, value]) => `${key}=${round(value)}`);
    figures.push({ metric, values: words.join('  ') });
  }
  const ok = thresholds.every((one) => one.ok);
  const took = Math.round(data.state.testRunDurationMs / 1000);
  return { name, url: BASE_URL, seconds: took, ok, thresholds, figures };
}

function terminal(found) {
  const wide = Math.max(...found.figures.map((row) => row.metric.length));
  const lines = ['', `${found.name}: ${found.url}, ${found.seconds} s`, ''];
  for (const row of found.figures) {
    lines.push(`  ${row.metric.padEnd(wide)}  ${row.values}`);
  }
  lines.push('');
  for (const one of found.thresholds) {
    lines.push(`  ${one.ok ? 'held  ' : 'BROKEN'}  ${one.metric} ${one.rule}`);
  }
  lines.push('', `${found.name}: ${found.ok ? 'every threshold held' : 'NOT GOOD ENOUGH'}`, '', '');
  return lines.join('\n');
}

function round(value) {
  return Number.isInteger(value) ? String(value) : value.toFixed(3);
}
