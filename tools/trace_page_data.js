'use strict';
/* The trace: events of each kind as columns, times in nanoseconds from the first event. */
const DATA = JSON.parse(document.getElementById('data').textContent);
const SUMS = DATA.sums;
const PARTS = ['gate', 'up', 'down'];
const PRIORITIES = ['demand', 'schedule', 'speculate'];
const CACHE_KINDS = ['hit', 'miss', 'evict', 'predict', 'useful'];

function columns(flat, names) {
  const wide = 2 + names.length,
    n = flat.length / wide;
  const out = { n, t0: new Float64Array(n), t1: new Float64Array(n) };
  for (const name of names) out[name] = new Float64Array(n);
  for (let i = 0, at = 0; i < n; i++) {
    at += flat[i * wide];
    out.t0[i] = at;
    out.t1[i] = at + flat[i * wide + 1];
    for (let k = 0; k < names.length; k++) out[names[k]][i] = flat[i * wide + 2 + k];
  }
  return out;
}

const EVENTS = {
  step: columns(DATA.events.step, ['step', 'tokens']),
  compute: columns(DATA.events.compute, ['layer']),
  wait: columns(DATA.events.wait, ['layer', 'bytes']),
  read: columns(DATA.events.read, ['layer', 'expert', 'part', 'lane', 'priority', 'bytes']),
};
for (const kind of CACHE_KINDS) EVENTS[kind] = columns(DATA.events[kind], ['layer', 'expert']);

/* A kind's events in n lists by a field's value (without field: in one), in the order of their beginnings; none in a list lasts longer
 * than its `longest`. */
function listsBy(kind, field, n) {
  const e = EVENTS[kind],
    lists = Array.from({ length: n }, () => ({ kind, e, ids: [], longest: 0 }));
  for (let i = 0; i < e.n; i++) {
    const list = lists[field ? e[field][i] : 0];
    if (!list) continue;
    list.ids.push(i);
    list.longest = Math.max(list.longest, e.t1[i] - e.t0[i]);
  }
  return lists;
}

/* The first place in the list whose event begins at t or later. */
function firstFrom(list, t) {
  let lo = 0,
    hi = list.ids.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (list.e.t0[list.ids[mid]] >= t) hi = mid;
    else lo = mid + 1;
  }
  return lo;
}

/* How much happened until t, as a function: events contribute weight(i), spread evenly over their time. */
function accumulated(e, weight) {
  const n = e.n,
    byEnd = Array.from({ length: n }, (_, i) => i).sort((i, j) => e.t1[i] - e.t1[j]);
  const at = new Float64Array(2 * n + 1),
    sum = new Float64Array(2 * n + 1),
    rate = new Float64Array(2 * n + 1);
  let b = 0,
    d = 0,
    slope = 0;
  for (let k = 1; k <= 2 * n; k++) {
    const begins = b < n && e.t0[b] <= e.t1[byEnd[d]],
      i = begins ? b++ : byEnd[d++];
    at[k] = begins ? e.t0[i] : e.t1[i];
    sum[k] = sum[k - 1] + slope * (at[k] - at[k - 1]);
    slope += ((begins ? 1 : -1) * weight(i)) / Math.max(1, e.t1[i] - e.t0[i]);
    rate[k] = slope;
  }
  return t => {
    let lo = 0,
      hi = 2 * n;
    while (lo < hi) {
      const mid = (lo + hi + 1) >> 1;
      if (at[mid] <= t) lo = mid;
      else hi = mid - 1;
    }
    return sum[lo] + (lo < 2 * n ? rate[lo] * (t - at[lo]) : 0);
  };
}

const END = Math.max(1, ...Object.values(EVENTS).map(e => (e.n ? e.t1.reduce((a, b) => Math.max(a, b), 0) : 0)));
const readUntil = accumulated(EVENTS.read, i => EVENTS.read.bytes[i]);
const computeUntil = accumulated(EVENTS.compute, i => EVENTS.compute.t1[i] - EVENTS.compute.t0[i]);
const waitUntil = accumulated(EVENTS.wait, i => EVENTS.wait.t1[i] - EVENTS.wait.t0[i]);

/* Periods: from the end of the step before to the end of the step. */
const PERIODS = [];
for (let i = 0, from = DATA.from_ns; i < SUMS.each_step.length; i++) {
  PERIODS.push({ from, to: from + SUMS.each_step[i].time_ns, sum: SUMS.each_step[i] });
  from += SUMS.each_step[i].time_ns;
}

/* The best mean rate over stretches of this length; bytes a second. */
function fastest(stretch) {
  let best = 0;
  for (let t = 0; t + stretch <= END; t += stretch / 2)
    best = Math.max(best, ((readUntil(t + stretch) - readUntil(t)) / stretch) * 1e9);
  return best;
}
const PEAK = EVENTS.read.n ? fastest(Math.max(END / 400, Math.min(END, 5e6))) : 0;
const ROOF = { rate: SUMS.disk_rate || PEAK, known: SUMS.disk_rate > 0 };

/* Words; a number and its unit stay on one line */
function digits(x) {
  return x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
}
function time(ns) {
  if (ns < 1e3) return `${ns.toFixed(0)} ns`;
  if (ns < 1e6) return `${digits(ns / 1e3)} µs`;
  return ns < 1e9 ? `${digits(ns / 1e6)} ms` : `${digits(ns / 1e9)} s`;
}
function size(bytes) {
  return bytes < 1e6
    ? `${digits(bytes / 1e3)} KB`
    : bytes < 1e9
      ? `${digits(bytes / 1e6)} MB`
      : `${digits(bytes / 1e9)} GB`;
}
function speed(rate) {
  return rate < 1e9 ? `${digits(rate / 1e6)} MB/s` : `${digits(rate / 1e9)} GB/s`;
}
function percent(share) {
  return share === null || share < 0 ? '–' : `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}
