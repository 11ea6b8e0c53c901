/* What stands around the timeline: the verdict, sums, the chart of layers, the table of steps. */
const MAIN = SUMS.token || SUMS.prompt;
const MAIN_NAME = SUMS.token ? 'token' : 'prompt step';
const NAMES = {
  disk: ['Disk-bound', 'stall'],
  compute: ['Compute-bound', 'compute'],
  host: ['Neither disk nor compute', 'other'],
  turns: ['Compute and disk in turn', 'evict'],
  resident: ['All in memory', 'compute'],
};

function el(tag, text, parent, className) {
  const e = document.createElement(tag);
  if (text !== undefined && text !== null) e.textContent = text;
  if (className) e.className = className;
  if (parent) parent.append(e);
  return e;
}

/* A bar of parts: [name, share, color]. Names stand in it where there is room. */
function stack(parent, parts, labels) {
  const bar = el('div', null, parent, 'stack');
  for (const [name, share, tone] of parts) {
    if (share <= 0) continue;
    const text = `${name} ${percent(share)}`,
      part = el(
        'div',
        labels && share > 0.011 * text.length ? text : null,
        bar,
        tone === 'between' || tone === 'unused' ? 'pale' : '',
      );
    part.style.cssText = `flex: ${share} 0 0; background: var(--${tone})`;
    if (!part.textContent) part.classList.add('thin');
    part.title = text;
  }
  return bar;
}

function legend(parent, parts) {
  for (const [name, tone] of parts) {
    const item = el('span', null, parent);
    el('i', null, item).style.background = `var(--${tone})`;
    item.append(name);
  }
}

function deviceParts(s) {
  return [
    ['computes', s.compute_ns / s.time_ns, 'compute'],
    ['waits for the disk', s.stall_ns / s.time_ns, 'stall'],
    ['prepares', s.other_ns / s.time_ns, 'other'],
    ['between steps', s.between_ns / s.time_ns, 'between'],
  ];
}

/* Of the time that reads take: what they would take at the roof, and the rest. */
function diskParts(s) {
  const busy = s.io_ns / s.time_ns,
    ideal = ROOF.rate ? Math.min(busy, ((s.read_bytes / ROOF.rate) * 1e9) / s.time_ns) : 0;
  return [
    [ROOF.known ? 'reads at its roof' : 'reads at the fastest seen', ideal, 'demand'],
    ['reads, slower', busy - ideal, 'schedule'],
    ['idle', 1 - busy, 'unused'],
  ];
}

function fillVerdict() {
  const [name, tone] = NAMES[SUMS.verdict] || ['?', 'other'],
    shares = document.getElementById('shares');
  document.getElementById('verdict').style.setProperty('--tone', `var(--${tone})`);
  document.getElementById('verdict-name').textContent = name;
  document.getElementById('verdict-words').textContent = SUMS.words;
  document.getElementById('shares-of').textContent =
    `where the time of a ${MAIN_NAME} goes` + (MAIN.steps > 1 ? `, mean of ${MAIN.steps}` : '');
  const rows = [['device', deviceParts(MAIN)]];
  if (MAIN.read_bytes) rows.push(['disk', diskParts(MAIN)]);
  for (const [who, parts] of rows) {
    el('span', who, shares, 'who');
    stack(shares, parts, true);
    legend(
      el('div', null, shares, 'legend'),
      parts.filter(p => p[1] > 0.0005).map(p => [`${p[0]} ${percent(p[1])}`, p[2]]),
    );
  }
}

function fillTiles() {
  const s = MAIN,
    out = document.getElementById('tiles'),
    per = s.time_ns / s.tokens;
  const tile = (value, unit, what, title) => {
    const d = el('div', null, out),
      b = el('b', value, d);
    el('small', ` ${unit}`, b);
    el('span', what, d, 'soft');
    d.title = title || '';
  };
  tile(digits(1e9 / per), 'tok/s', `${time(per)} per token`);
  if (s.read_bytes) {
    tile(
      digits(s.read_bytes / s.time_ns),
      'GB/s',
      ROOF.known ? `from disk, of ${digits(ROOF.rate / 1e9)}` : 'from disk',
      ROOF.known && SUMS.disk_rate_given ? 'as given' : 'as measured',
    );
    tile(size(s.read_bytes / s.tokens), '', 'read per token');
    tile(percent(s.io_ns ? s.overlap_ns / s.io_ns : 0), '', 'of reading hidden by compute');
  }
  if (s.hit_rate !== null) tile(percent(s.hit_rate), '', 'of experts were in memory');
  if (s.precision !== null) tile(percent(s.precision), '', `of guesses right; ${percent(s.recall)} foreseen`);
  if (s.bound_share !== null && s.read_bytes)
    tile(
      percent(s.bound_share),
      '',
      'of the possible speed',
      'the longer of compute and reading at the roof, over the time it took',
    );
}

/* Compute and stall of each layer, per step. */
let layerAt = null;
function drawLayerChart() {
  const c = document.getElementById('layers'),
    { g, w, h } = surface(c),
    left = 52,
    base = h - 22,
    n = SUMS.each_layer.length;
  const top = Math.max(1, ...SUMS.each_layer.map(l => (l.compute_ns + l.stall_ns) / MAIN.steps)) * 1.05,
    yOf = ns => base * (1 - ns / top) + 4;
  const step = tickStep(top, 4),
    slot = (w - left) / n,
    bar = Math.max(1, slot * 0.78);
  for (let v = 0; v <= top; v += step) {
    g.fillStyle = color('line');
    g.fillRect(left, Math.round(yOf(v)), w - left, 1);
    g.fillStyle = color('soft');
    g.fillText(time(v), 0, yOf(v));
  }
  SUMS.each_layer.forEach((l, i) => {
    const x = left + i * slot + (slot - bar) / 2,
      compute = l.compute_ns / MAIN.steps,
      stall = l.stall_ns / MAIN.steps;
    g.globalAlpha = view.layer !== null && view.layer !== i ? 0.3 : 1;
    g.fillStyle = color('compute');
    g.fillRect(x, yOf(compute), bar, yOf(0) - yOf(compute));
    g.fillStyle = color('stall');
    g.fillRect(x, yOf(compute + stall), bar, yOf(compute) - yOf(compute + stall));
    g.fillStyle = color('soft');
    if (i % Math.ceil(26 / slot) === 0) g.fillText(i, x + bar / 2 - g.measureText(i).width / 2, h - 7);
  });
  g.globalAlpha = 1;
  layerAt = x => {
    const i = Math.floor((x - left) / slot);
    return i >= 0 && i < n ? i : null;
  };
}

function fillLayers() {
  const c = document.getElementById('layers'),
    stall = SUMS.each_layer.reduce((sum, l) => sum + l.stall_ns, 0);
  document.getElementById('layers-of').textContent =
    `per ${MAIN_NAME}: red is waiting for the disk; the last layer includes the output. Click one to follow it.`;
  const at = event => layerAt(event.clientX - c.getBoundingClientRect().left);
  c.onclick = event => follow(at(event) === view.layer ? null : at(event));
  c.onmousemove = event => {
    const i = at(event);
    if (i === null) return void (tip.hidden = true);
    const l = SUMS.each_layer[i],
      uses = l.hits + l.misses;
    showTip(event, [
      `layer ${i}`,
      `compute ${time(l.compute_ns / MAIN.steps)}, waits ${time(l.stall_ns / MAIN.steps)}` +
        (stall ? ` (${percent(l.stall_ns / stall)} of all waits)` : ''),
      `${size(l.read_bytes / MAIN.steps)} read` + (uses ? `; ${percent(l.hits / uses)} of experts were in memory` : ''),
    ]);
  };
  c.onmouseleave = () => {
    tip.hidden = true;
  };
}

function stepRow(body, name, s) {
  const row = el('tr', null, body),
    n = s.steps;
  const mean = ns => (ns ? time(ns / n) : '–');
  const cells = [
    name,
    mean(s.time_ns),
    null,
    mean(s.compute_ns),
    mean(s.stall_ns),
    mean(s.other_ns + s.between_ns),
    mean(s.io_ns),
    mean(s.overlap_ns),
    s.read_bytes ? size(s.read_bytes / s.tokens) : '–',
  ];
  if (SUMS.disk_rate) cells.push(percent(s.disk_share));
  if (SUMS.experts) cells.push(percent(s.hit_rate));
  for (const cell of cells) {
    const td = el('td', cell, row);
    if (cell === null) stack(td, deviceParts(s), false);
  }
  return row;
}

function fillSteps() {
  const table = document.getElementById('steps'),
    head = el('tr', null, el('thead', null, table)),
    body = el('tbody', null, table);
  const names = ['step', 'time', '', 'compute', 'stall', 'other', 'I/O', 'overlap', 'per token'].concat(
    SUMS.disk_rate ? ['disk'] : [],
    SUMS.experts ? ['hits'] : [],
  );
  for (const name of names) el('th', name, head);
  if (SUMS.token) stepRow(body, 'mean token', SUMS.token).className = 'mean';
  if (SUMS.prompt) stepRow(body, SUMS.prompt.steps > 1 ? 'mean prompt step' : 'prompt', SUMS.prompt).className = 'mean';
  PERIODS.forEach((p, i) => {
    const row = stepRow(body, p.sum.step + (p.sum.tokens > 1 ? ` (${p.sum.tokens} tokens)` : ''), p.sum);
    row.onclick = () => showPeriod(i);
    p.row = row;
  });
  document.getElementById('steps-of').textContent =
    'compute + stall + other = time; I/O: any reader reads; overlap: compute hides it; per token: bytes read. Click a row to see it above.' +
    (SUMS.lost_events ? ` The trace was full: the first ${SUMS.steps_before} steps are missing.` : '');
}

/* The rows of the steps that are in sight, unless all are. */
function markSteps() {
  for (const p of PERIODS)
    p.row.classList.toggle(
      'here',
      view.b - view.a < 0.98 * END &&
        p.from < view.b - (view.b - view.a) * 0.05 &&
        p.to > view.a + (view.b - view.a) * 0.05,
    );
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  readInk();
  redraw();
  drawLayerChart();
}

/* What to show first may stand in the address: #step=2&view=layers&layer=5&theme=dark */
function start() {
  const asked = new URLSearchParams(location.hash.slice(1)),
    dark = window.matchMedia('(prefers-color-scheme: dark)');
  document.title = `${SUMS.model}: hy trace`;
  document.getElementById('model').textContent = SUMS.model;
  document.getElementById('machine').textContent =
    `${SUMS.device}; ${SUMS.mode}; memory plan ${size(SUMS.plan_bytes)}` +
    (SUMS.on_disk_bytes ? `, ${size(SUMS.on_disk_bytes)} of weights stay on disk` : '');
  fillVerdict();
  fillTiles();
  fillLayers();
  fillSteps();
  legend(
    document.getElementById('legend'),
    [
      ['compute', 'compute'],
      ['waiting for the disk', 'stall'],
    ].concat(
      [
        ['read that is needed at once', 'demand'],
        ['read ahead', 'schedule'],
        ['read on a guess', 'speculate'],
      ].filter((_, k) => EVENTS.read.priority.includes(k)),
    ),
  );
  setTheme(asked.get('theme') || (dark.matches ? 'dark' : 'light'));
  dark.onchange = () => setTheme(dark.matches ? 'dark' : 'light');
  document.getElementById('theme').onclick = () =>
    setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
  setMode(asked.get('view') === 'layers' ? 'layers' : 'lanes');
  listen();
  const step = PERIODS.findIndex(p => p.sum.step === Number(asked.get('step')));
  if (asked.has('step') && step >= 0) showPeriod(step);
  if (asked.has('layer')) follow(Number(asked.get('layer')));
}
start();
