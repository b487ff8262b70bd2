// The report as one HTML page that needs nothing from elsewhere.

const STYLE = `
  :root { color-scheme: light dark; }
  body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
  table { border-collapse: collapse; width: 100%; margin-bottom: 2rem; }
  th, td { border-bottom: 1px solid #8886; padding: .3rem .6rem; text-align: left; }
  td { font-family: ui-monospace, monospace; font-size: .9rem; overflow-wrap: anywhere; }
  .held td:last-child { color: #1a7f37; } .broken td:last-child { color: #d1242f; font-weight: bold; }
`;

// `found` is what `digest` made of a run.
export function page(found) {
  const verdict = found.ok ? 'every threshold held' : 'not good enough';
  const thresholds = found.thresholds.map((one) => {
    const word = one.ok ? 'held' : 'broken';
    return row(word, one.metric, one.rule, word);
  });
  const figures = found.figures.map((one) => row('', one.metric, one.values));
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${safe(found.name)}: ${verdict}</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style></head>
<body>
<h1>${safe(found.name)}: ${verdict}</h1>
<p>${safe(found.url)}, ${found.seconds} s</p>
${table(['Metric', 'Threshold', 'Verdict'], thresholds)}
${table(['Metric', 'Figures'], figures)}
</body>
</html>
`;
}

function table(headings, rows) {
  const head = headings.map((heading) => `<th scope="col">${heading}</th>`).join('');
  return `<table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
}

function row(kind, ...cells) {
  return `<tr class="${kind}">${cells.map((cell) => `<td>${safe(cell)}</td>`).join('')}</tr>`;
}

function safe(words) {
  return words.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
