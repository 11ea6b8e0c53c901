/* The timeline under the hand: moving, zooming, following a layer, hovering. */
function show(a, b) {
  const span = Math.min(END, Math.max(2000, b - a));
  view.a = Math.max(0, Math.min(END - span, a));
  view.b = view.a + span;
  tip.hidden = true;
  redraw();
}
function zoom(factor, at) {
  show(at - (at - view.a) * factor, at + (view.b - at) * factor);
}
function pan(share) {
  const d = share * (view.b - view.a);
  show(view.a + d, view.b + d);
}
function showPeriod(i) {
  const p = PERIODS[i],
    room = (p.to - p.from) * 0.02;
  show(p.from - room, p.to + room);
}
function stepPeriod(by) {
  const mid = (view.a + view.b) / 2,
    whole = view.b - view.a > 0.99 * END;
  let at = PERIODS.findIndex(p => p.to >= mid);
  if (at < 0) at = PERIODS.length - 1;
  showPeriod(whole ? (by > 0 ? 0 : PERIODS.length - 1) : Math.max(0, Math.min(PERIODS.length - 1, at + by)));
}
function follow(layer) {
  view.layer = layer;
  redraw();
  drawLayerChart();
}
function setMode(mode) {
  view.mode = mode;
  for (const m of ['lanes', 'layers']) document.getElementById(`view-${m}`).setAttribute('aria-pressed', m === mode);
  layOut();
  redraw();
}

/* What lies under the pointer: the event at this time in this lane, or the nearest within a few pixels. */
function under(x, y) {
  const lane = lanes.find(l => y >= l.y - 1 && y <= l.y + l.h + 1),
    t = tOf(x),
    near = (4 * (view.b - view.a)) / width();
  if (!lane || x < GUTTER) return null;
  if (lane.rate) return { rate: true, t };
  let best = null;
  for (const list of lane.lists) {
    const { e, ids } = list;
    for (let k = firstFrom(list, t - list.longest - near); k < ids.length && e.t0[ids[k]] <= t + near; k++) {
      const i = ids[k],
        far = Math.max(0, e.t0[i] - t, t - e.t1[i]);
      if (far <= near && (!best || far <= best.far)) best = { kind: list.kind, e, i, far };
    }
  }
  return best;
}

function where(e, i) {
  return `layer ${e.layer[i]}` + (e.expert && e.expert[i] >= 0 ? `, expert ${e.expert[i]}` : '');
}
const WORDS = {
  step: (e, i) => {
    const s = SUMS.each_step[i];
    return [
      e.tokens[i] > 1 ? `step ${e.step[i]}: ${e.tokens[i]} tokens of the prompt` : `step ${e.step[i]}: one token`,
      `${time(s.time_ns)}: compute ${time(s.compute_ns)}, waits ${time(s.stall_ns)}`,
      `${size(s.read_bytes)} read`,
    ];
  },
  compute: (e, i) => [`compute, ${where(e, i)}`, time(e.t1[i] - e.t0[i])],
  wait: (e, i) => [`waits for the disk, ${where(e, i)}`, time(e.t1[i] - e.t0[i])],
  read: (e, i) => [
    `read: ${where(e, i)}, ${PARTS[e.part[i]]}`,
    `${size(e.bytes[i])} in ${time(e.t1[i] - e.t0[i])}, ${speed((e.bytes[i] / (e.t1[i] - e.t0[i])) * 1e9)}`,
    { demand: 'needed at once', schedule: 'ahead, as scheduled', speculate: 'ahead, on a guess' }[
      PRIORITIES[e.priority[i]]
    ] + `; reader ${e.lane[i]}`,
  ],
  hit: (e, i) => [`hit: ${where(e, i)}`, 'was in memory'],
  miss: (e, i) => [`miss: ${where(e, i)}`, 'had to be read'],
  evict: (e, i) => [`evicted: ${where(e, i)}`, 'made room for another'],
  predict: (e, i) => [`guess: ${where(e, i)}`, 'is read ahead'],
  useful: (e, i) => [`right guess: ${where(e, i)}`, 'was read ahead and then used'],
};

function showTip(event, lines) {
  tip.replaceChildren(
    ...lines
      .map((line, k) => Object.assign(document.createElement(k ? 'span' : 'b'), { textContent: line }))
      .flatMap((el, k) => (k > 1 ? [document.createElement('br'), el] : [el])),
  );
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - box.width - 8)}px`;
  tip.style.top = `${event.clientY + 18 + box.height > window.innerHeight ? event.clientY - box.height - 10 : event.clientY + 18}px`;
}

function onHover(event) {
  const box = canvas.getBoundingClientRect(),
    x = event.clientX - box.left,
    hit = under(x, event.clientY - box.top);
  hover = x >= GUTTER ? { x } : null;
  redraw();
  if (!hit) return void (tip.hidden = true);
  const span = ((view.b - view.a) / width()) * 3;
  const rate = hit.rate ? rateAt(hit.t, span) : 0;
  showTip(
    event,
    hit.rate
      ? [
          `the disk delivers ${speed(rate)}`,
          `${percent(rate / ROOF.rate)} of ${ROOF.known ? 'its roof' : 'the fastest seen'}, at ${time(hit.t)}`,
        ]
      : [...WORDS[hit.kind](hit.e, hit.i), `at ${time(hit.e.t0[hit.i])}`],
  );
}

function listen() {
  let drag = null;
  canvas.addEventListener(
    'wheel',
    event => {
      event.preventDefault();
      const x = event.clientX - canvas.getBoundingClientRect().left;
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) / 800);
      else zoom(1.0015 ** event.deltaY, tOf(Math.max(GUTTER, x)));
    },
    { passive: false },
  );
  canvas.addEventListener('pointerdown', event => {
    drag = { x: event.clientX, a: view.a, b: view.b, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointermove', event => {
    if (!drag) return onHover(event);
    const d = ((drag.x - event.clientX) / width()) * (drag.b - drag.a);
    if (Math.abs(event.clientX - drag.x) > 3) drag.moved = true;
    if (drag.moved) show(drag.a + d, drag.b + d);
  });
  canvas.addEventListener('pointerup', event => {
    const box = canvas.getBoundingClientRect(),
      hit = drag && !drag.moved ? under(event.clientX - box.left, event.clientY - box.top) : null;
    if (hit && hit.kind === 'step') showPeriod(hit.i);
    else if (drag && !drag.moved) follow(hit && hit.e && hit.e.layer[hit.i] !== view.layer ? hit.e.layer[hit.i] : null);
    drag = null;
  });
  canvas.addEventListener('pointerleave', () => {
    hover = null;
    tip.hidden = true;
    redraw();
  });
  const move = event => {
    const box = map.getBoundingClientRect(),
      t = ((event.clientX - box.left - GUTTER) / (box.width - GUTTER)) * END,
      half = (view.b - view.a) / 2;
    if (event.buttons) show(t - half, t + half);
  };
  map.addEventListener('pointerdown', move);
  map.addEventListener('pointermove', move);
  const keys = {
    ArrowLeft: () => pan(-0.2),
    ArrowRight: () => pan(0.2),
    '+': () => zoom(0.6, (view.a + view.b) / 2),
    '=': () => zoom(0.6, (view.a + view.b) / 2),
    '-': () => zoom(1 / 0.6, (view.a + view.b) / 2),
    0: () => show(0, END),
    n: () => stepPeriod(1),
    p: () => stepPeriod(-1),
    l: () => setMode(view.mode === 'lanes' ? 'layers' : 'lanes'),
    Escape: () => follow(null),
  };
  window.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const [id, key] of [
    ['in', '+'],
    ['out', '-'],
    ['all', '0'],
    ['next', 'n'],
    ['prev', 'p'],
  ])
    document.getElementById(id).onclick = keys[key];
  for (const mode of ['lanes', 'layers']) document.getElementById(`view-${mode}`).onclick = () => setMode(mode);
  window.addEventListener('resize', () => {
    redraw();
    drawLayerChart();
  });
}
