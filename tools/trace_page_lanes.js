/* The timeline drawn: lanes of disk and device, or one row per layer, and the overview of the whole run. */
const GUTTER = 104,
  RULER = 22;
const canvas = document.getElementById('lanes'),
  map = document.getElementById('map'),
  tip = document.getElementById('tip');
const view = { a: 0, b: END, mode: 'lanes', layer: null };
let lanes = [],
  ink = {},
  hover = null;

function color(name) {
  return ink[name];
}
function readInk() {
  const style = getComputedStyle(document.documentElement);
  for (const name of [
    'card',
    'line',
    'ink',
    'soft',
    'compute',
    'compute-2',
    'stall',
    'other',
    'between',
    'demand',
    'schedule',
    'speculate',
    'unused',
    'on',
    'hit',
    'evict',
  ])
    ink[name] = style.getPropertyValue('--' + name).trim();
}

/* Which lanes there are. A lane draws spans of lists, or the disk's rate. */
function byParity(e, i) {
  return e.layer[i] % 2 ? 'compute-2' : 'compute';
}
function byPriority(e, i) {
  return PRIORITIES[e.priority[i]] || 'other';
}

const SPAN = {
  step: {
    color: (e, i) => (i % 2 ? 'between' : 'other'),
    label: (e, i) => (e.tokens[i] > 1 ? `prompt, ${e.tokens[i]} tokens` : `token ${e.step[i]}`),
    text: 'ink',
  },
  compute: { color: byParity, label: (e, i) => `${e.layer[i]}`, text: 'on' },
  wait: { color: () => 'stall', label: (e, i) => `${e.layer[i]}`, text: 'on' },
  read: {
    color: byPriority,
    label: (e, i) =>
      e.expert[i] < 0 ? `${e.layer[i]} ${PARTS[e.part[i]]}` : `${e.layer[i]}·${e.expert[i]} ${PARTS[e.part[i]]}`,
    text: 'on',
  },
  hit: { color: () => 'hit' },
  miss: { color: () => 'stall' },
  evict: { color: () => 'evict' },
  predict: { color: () => 'speculate' },
  useful: { color: () => 'hit' },
};
const CACHE_NAMES = {
  hit: 'expert hits',
  miss: 'misses',
  evict: 'evictions',
  predict: 'guesses',
  useful: 'right guesses',
};

function makeLanes() {
  const out = [
    { name: 'steps', h: 20, lists: listsBy('step', null, 1) },
    { name: 'device', h: 44, lists: listsBy('compute', null, 1).concat(listsBy('wait', null, 1)) },
  ];
  if (EVENTS.read.n) {
    out.push({ name: 'disk', h: 92, rate: true, lists: [] });
    const n = EVENTS.read.lane.reduce((a, b) => Math.max(a, b), 0) + 1;
    listsBy('read', 'lane', n).forEach((list, k) =>
      out.push({ name: `reader ${k}`, h: 17, close: k > 0, lists: [list] }),
    );
  }
  CACHE_KINDS.filter(kind => EVENTS[kind].n).forEach((kind, k) =>
    out.push({ name: CACHE_NAMES[kind], h: 12, close: k > 0, lists: listsBy(kind, null, 1) }),
  );
  return out;
}

function makeLayers() {
  const h = Math.max(7, Math.min(24, Math.floor(460 / SUMS.layers)));
  const parts = ['compute', 'wait', 'read'].map(kind => listsBy(kind, 'layer', SUMS.layers));
  return [{ name: 'steps', h: 20, lists: listsBy('step', null, 1) }].concat(
    Array.from({ length: SUMS.layers }, (_, layer) => ({
      name: h >= 12 || layer % 4 === 0 ? `layer ${layer}` : '',
      h,
      close: layer > 0,
      lists: parts.map(lists => lists[layer]),
    })),
  );
}

function layOut() {
  lanes = view.mode === 'layers' ? makeLayers() : makeLanes();
  let y = RULER;
  for (const lane of lanes) {
    y += lane.close ? 2 : 10;
    lane.y = y;
    y += lane.h;
  }
  canvas.style.height = `${y + 8}px`;
}

/* Drawing */
function surface(c) {
  const ratio = window.devicePixelRatio || 1,
    box = c.getBoundingClientRect();
  c.width = Math.round(box.width * ratio);
  c.height = Math.round(box.height * ratio);
  const g = c.getContext('2d');
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.font = '11px system-ui, sans-serif';
  g.textBaseline = 'middle';
  return { g, w: box.width, h: box.height };
}
function width() {
  return Math.max(1, canvas.getBoundingClientRect().width - GUTTER);
} /* 0 before the page is laid out */
function xOf(t) {
  return GUTTER + ((t - view.a) / (view.b - view.a)) * width();
}
function tOf(x) {
  return view.a + ((x - GUTTER) / width()) * (view.b - view.a);
}
function dimmed(e, i) {
  return view.layer !== null && e.layer && e.layer[i] !== view.layer;
}

/* Spans narrower than this are not drawn one by one: a column of pixels gets darker by what they cover. */
const FINE_PX = 1.5,
  LEAST_PX = 0.5;

function drawSpans(g, list, y, h) {
  const { e, ids } = list,
    how = SPAN[list.kind],
    w = width(),
    scale = w / (view.b - view.a),
    fine = new Map();
  let n = 0;
  for (let k = firstFrom(list, view.a - list.longest); k < ids.length && e.t0[ids[k]] < view.b; k++) {
    const i = ids[k];
    if (e.t1[i] < view.a) continue;
    n++;
    const a = Math.max(0, (e.t0[i] - view.a) * scale),
      b = Math.min(w, (e.t1[i] - view.a) * scale);
    const dim = dimmed(e, i),
      name = how.color(e, i),
      key = dim ? name + ' dim' : name;
    if (b - a < FINE_PX) {
      if (!fine.has(key)) fine.set(key, { name, dim, cover: new Float32Array(Math.ceil(w) + 1) });
      fine.get(key).cover[Math.floor(a)] += Math.max(b - a, LEAST_PX);
      continue;
    }
    g.globalAlpha = dim ? 0.15 : 1;
    g.fillStyle = color(name);
    g.fillRect(GUTTER + a, y, b - a > 5 ? b - a - 0.75 : b - a, h);
    if (h >= 16 && b - a > 14) drawLabel(g, how.label(e, i), GUTTER + a, y, b - a, h, how.text);
  }
  for (const { name, dim, cover } of fine.values()) {
    g.fillStyle = color(name);
    for (let x = 0; x < cover.length; x++) {
      if (!cover[x]) continue;
      g.globalAlpha = Math.min(1, 0.35 + cover[x]) * (dim ? 0.15 : 1);
      g.fillRect(GUTTER + x, y, 1, h);
    }
  }
  g.globalAlpha = 1;
  return n;
}

function drawLabel(g, text, x, y, w, h, name) {
  const left = Math.max(x, GUTTER);
  if (g.measureText(text).width + 6 > w) return;
  g.fillStyle = color(name);
  g.fillText(text, left + 4, y + h / 2 + 0.5);
}

/* A round step that gives about n ticks. */
function tickStep(span, n) {
  const raw = span / n,
    ten = 10 ** Math.floor(Math.log10(raw));
  return ten * (raw / ten > 5 ? 10 : raw / ten > 2 ? 5 : raw / ten > 1 ? 2 : 1);
}

/* Neighbouring ticks read differently. */
function tickText(t, step) {
  const [unit, name] = step >= 1e8 ? [1e9, 's'] : view.b >= 1e6 ? [1e6, 'ms'] : [1e3, 'µs'];
  return `${(t / unit).toFixed(Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9)))} ${name}`;
}

function drawRuler(g, w, h) {
  const step = tickStep(view.b - view.a, w / 110);
  for (let t = Math.ceil(view.a / step) * step; t < view.b; t += step) {
    const x = Math.round(xOf(t)) + 0.5;
    g.fillStyle = color('line');
    g.fillRect(x, RULER - 4, 1, h);
    g.fillStyle = color('soft');
    g.fillText(tickText(t, step), x + 3, RULER / 2);
  }
}

function rateTop() {
  return Math.max(ROOF.rate * 1.25, Math.min(PEAK * 1.1, ROOF.rate * 2.5));
}
function rateAt(t, span) {
  return ((readUntil(t + span) - readUntil(t)) / span) * 1e9;
}

/* What the disk delivers, under the line of what it could. */
function drawRate(g, lane) {
  const top = rateTop(),
    w = width(),
    px = 3,
    span = ((view.b - view.a) / w) * px,
    yOf = rate => lane.y + lane.h * (1 - Math.min(1, rate / top));
  const roof = Math.round(yOf(ROOF.rate)) + 0.5;
  g.fillStyle = color('unused');
  g.fillRect(GUTTER, roof, w, lane.y + lane.h - roof);
  g.fillStyle = color('demand');
  let n = 0;
  for (let x = 0; x < w; x += px) {
    const rate = rateAt(view.a + (x / w) * (view.b - view.a), span);
    if (rate <= 0) continue;
    n++;
    g.fillRect(GUTTER + x, yOf(rate), Math.min(px, w - x), lane.y + lane.h - yOf(rate));
  }
  g.strokeStyle = color('ink');
  g.setLineDash([6, 4]);
  g.beginPath();
  g.moveTo(GUTTER, roof);
  g.lineTo(GUTTER + w, roof);
  g.stroke();
  g.setLineDash([]);
  const text = ROOF.known ? `roof: the disk can do ${speed(ROOF.rate)}` : `fastest seen: ${speed(ROOF.rate)}`;
  g.fillStyle = color('card');
  g.globalAlpha = 0.8;
  g.fillRect(GUTTER + w - g.measureText(text).width - 12, roof - 18, g.measureText(text).width + 10, 15);
  g.globalAlpha = 1;
  g.fillStyle = color('ink');
  g.fillText(text, GUTTER + w - g.measureText(text).width - 7, roof - 10);
  return n;
}

function drawGutter(g, h) {
  g.fillStyle = color('card');
  g.fillRect(0, 0, GUTTER, h);
  for (const lane of lanes) {
    g.fillStyle = color(lane.close ? 'soft' : 'ink');
    g.fillText(lane.name, 0, lane.y + (lane.rate ? 8 : lane.h / 2));
    if (!lane.rate) continue;
    g.fillStyle = color('soft');
    g.fillText('what it delivers', 0, lane.y + 24);
  }
}

/* A layer's row has its reads below its compute and waits. */
function place(lane, list) {
  if (lane.lists.length < 3) return [lane.y, lane.h];
  const low = Math.round(lane.h * 0.6);
  return list.kind === 'read' ? [lane.y + low, lane.h - low] : [lane.y, low];
}

function drawLanes() {
  const { g, w, h } = surface(canvas),
    drawn = {};
  drawRuler(g, w - GUTTER, h);
  for (const lane of lanes) {
    if (lane.rate) drawn.rate = drawRate(g, lane);
    for (const list of lane.lists)
      drawn[list.kind] = (drawn[list.kind] || 0) + drawSpans(g, list, ...place(lane, list));
  }
  drawGutter(g, h);
  if (hover) {
    g.fillStyle = color('ink');
    g.globalAlpha = 0.35;
    g.fillRect(hover.x, RULER - 4, 1, h);
    g.globalAlpha = 1;
  }
  for (const kind of Object.keys(SPAN).concat('rate'))
    canvas.dataset[kind] = drawn[kind] || 0; /* for tests: how many of each are in sight */
}

function drawMap() {
  const { g, w, h } = surface(map),
    wide = w - GUTTER,
    per = END / wide;
  for (let x = 0; x < wide; x++) {
    const t = x * per,
      busy = (computeUntil(t + per) - computeUntil(t)) / per,
      stalled = (waitUntil(t + per) - waitUntil(t)) / per;
    g.fillStyle = color('compute');
    g.fillRect(GUTTER + x, h * (1 - busy), 1, h * busy);
    g.fillStyle = color('stall');
    g.fillRect(GUTTER + x, h * (1 - busy - stalled), 1, h * stalled);
  }
  g.fillStyle = color('soft');
  g.fillText('whole run', 0, h / 2);
  const a = GUTTER + (view.a / END) * wide,
    b = GUTTER + (view.b / END) * wide;
  g.fillStyle = color('card');
  g.globalAlpha = 0.72;
  g.fillRect(GUTTER, 0, a - GUTTER, h);
  g.fillRect(b, 0, w - b, h);
  g.globalAlpha = 1;
  g.strokeStyle = color('ink');
  g.strokeRect(a + 0.5, 0.5, Math.max(2, b - a - 1), h - 1);
}

let asked = false;
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    drawMap();
    drawLanes();
    markSteps();
  });
}
