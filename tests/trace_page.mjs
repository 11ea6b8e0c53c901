// The page of hy trace in a real browser: node tests/trace_page.mjs CHROMIUM PAGE.html NAME dense|experts [FOLDER for screenshots]
// Lanes must hold pixels of their colours, in every view and zoom; the page must need nothing else, throw nothing, and do what it says.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { decodePng, openBrowser } from './browser.mjs';

const [program, page, name, kind, folder] = process.argv.slice(2);
const url = pathToFileURL(resolve(page)).href;
const browser = await openBrowser(program, 1400, 1000);
let failures = 0;

function verdict(what, why) {
  if (why) failures++;
  console.log(why ? `FAIL ${kind}: ${what}: ${why}` : `ok ${kind}: ${what}`);
}

async function check(what, test) {
  try {
    verdict(what, await test());
  } catch (error) {
    verdict(what, error.message);
  }
}

const close = (pixel, color) => Math.max(...color.map((c, i) => Math.abs(c - pixel[i]))) <= 40;
const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));

// What is missing in the picture; '' when nothing is. wanted: [lane, colors of which one must be there, least pixels].
async function missing(wanted, shot) {
  const png = await browser.screenshot(),
    image = decodePng(png);
  if (folder && shot) writeFileSync(`${folder}/${kind}-${shot}.png`, png);
  const box = await browser.evaluate(
    '(b => ({ x: b.x + scrollX, y: b.y + scrollY, w: b.width }))(canvas.getBoundingClientRect())',
  );
  const lanes = await browser.evaluate('lanes.map(({ name, y, h }) => ({ name, y, h }))'),
    ink = await browser.evaluate('ink'),
    gutter = await browser.evaluate('GUTTER');
  const empty = [];
  for (const [like, colors, least] of wanted) {
    const found = lanes.filter(lane => like.test(lane.name));
    let n = 0;
    for (const lane of found)
      for (let y = Math.ceil(box.y + lane.y); y < box.y + lane.y + lane.h; y++)
        for (let x = Math.ceil(box.x + gutter); x < box.x + box.w; x++)
          n += colors.some(c => close(image.at(x, y), rgb(ink[c])));
    if (n < least) empty.push(`${like.source} has ${n} pixels of ${colors} (${found.length} lanes)`);
  }
  return empty.join('; ');
}

const LANES = [
  [/^steps$/, ['other', 'between'], 400],
  [/^device$/, ['compute', 'compute-2'], 200],
  [/^device$/, ['stall'], 100],
  [/^disk$/, ['demand'], 200],
  [/^reader/, ['demand', 'schedule'], 100],
];
if (kind === 'experts') LANES.push([/^expert hits$/, ['hit'], 5], [/^misses$/, ['stall'], 5]);
// In one step of a mixture model all experts may be there already.
const STEP = kind === 'experts' ? LANES.filter(([, colors]) => !colors.includes('stall') && !colors.includes('demand')) : LANES;
const LAYERS = [
  [/^steps$/, ['other', 'between'], 400],
  [/^layer/, ['compute', 'compute-2'], 200],
  [/^layer/, ['stall'], 50],
  [/^layer/, ['demand', 'schedule'], 50],
];
const span = () => browser.evaluate('view.b - view.a');
const counts = () => browser.evaluate('({ ...canvas.dataset })');
const box = await (async () => {
  await browser.open(url);
  return browser.evaluate(
    '(b => ({ x: b.x, y: b.y, w: b.width }))((canvas.scrollIntoView(), canvas.getBoundingClientRect()))',
  );
})();

await check('the lanes hold what happened', () => missing(LANES, 'lanes'));
await check('every event is in sight at first', async () => {
  const seen = await counts(),
    all = await browser.evaluate('Object.fromEntries(Object.entries(EVENTS).map(([k, e]) => [k, e.n]))');
  return Object.keys(all)
    .filter(k => Number(seen[k]) !== all[k])
    .map(k => `${k}: ${seen[k]} of ${all[k]}`)
    .join();
});
await check('the name is shown as text', async () => {
  const shown = await browser.evaluate('document.getElementById("model").textContent'),
    strange = await browser.evaluate('document.querySelectorAll("img, iframe, link").length');
  return shown !== name ? `shows ${shown}` : strange ? 'markup of the name came alive' : '';
});
await check('sums add up', () =>
  browser
    .evaluate(
      `SUMS.each_step.filter(s => s.compute_ns + s.stall_ns + s.other_ns + s.between_ns !== s.time_ns).length +
  (document.querySelectorAll('#steps tbody tr').length - SUMS.each_step.length - !!SUMS.token - !!SUMS.prompt)`,
    )
    .then(n => (n ? `${n} rows are wrong` : '')),
);
await check('hovering tells', async () => {
  const at =
    await browser.evaluate(`(k => { const e = EVENTS.compute; for (let i = 0; i < e.n; i++) if (e.t1[i] - e.t0[i] > e.t1[k] - e.t0[k]) k = i;
    const lane = lanes.find(l => l.name === 'device'); return [xOf((e.t0[k] + e.t1[k]) / 2), lane.y + lane.h / 2]; })(0)`);
  await browser.move(box.x + at[0], box.y + at[1]);
  const text = await browser.evaluate('tip.hidden ? "" : tip.textContent');
  return /^(compute|waits for the disk), layer \d+/.test(text) ? '' : `says '${text}'`; // a wait may lie on the same pixel
});
await check('the next step by key, its lanes filled', async () => {
  const before = await span();
  await browser.key('n');
  await browser.key('n');
  return (await span()) < before / 2 ? missing(STEP, 'step') : 'no zoom';
});
await check('the wheel zooms about the pointer', async () => {
  await browser.key('0');
  const before = await browser.evaluate('[view.b - view.a, tOf(GUTTER + width() * 0.7)]');
  await browser.wheel(box.x + (await browser.evaluate('GUTTER + width() * 0.7')), box.y + 40, -600);
  const after = await browser.evaluate('[view.b - view.a, tOf(GUTTER + width() * 0.7)]');
  if (after[0] > before[0] * 0.7) return `${before[0]} ns are still ${after[0]}`;
  return Math.abs(after[1] - before[1]) > 0.02 * before[0] ? 'what was under the pointer moved' : '';
});
await check('dragging moves', async () => {
  const before = await browser.evaluate('view.a');
  await browser.drag(box.x + 700, box.x + 500, box.y + 40);
  return (await browser.evaluate('view.a')) > before ? '' : 'it did not';
});
await check('a row of the table shows its step', async () => {
  await browser.evaluate('PERIODS[1].row.click()');
  await browser.drawn();
  const fits = await browser.evaluate(
    'view.a <= PERIODS[1].from && view.b >= PERIODS[1].to && view.b - view.a < 1.1 * (PERIODS[1].to - PERIODS[1].from)',
  );
  return fits && (await browser.evaluate('PERIODS[1].row.className')) === 'here' ? '' : 'it does not';
});
await check('layers, whole run', async () => {
  await browser.key('0');
  await browser.key('l');
  const n = await browser.evaluate('lanes.length - 1 - SUMS.layers');
  return n ? `${n} rows too many` : missing(LAYERS, 'layers');
});
await check('following a layer dims the others', async () => {
  const all = await missing(LAYERS);
  await browser.evaluate('follow(1)');
  await browser.drawn();
  return (
    all ||
    (await missing([[/^layer 1$/, ['compute', 'compute-2'], 20]])) ||
    ((await missing([[/^layer 0$/, ['compute', 'compute-2'], 20]])) ? '' : 'layer 0 is as bright')
  );
});
await check('the dark page, one step', async () => {
  await browser.open('about:blank');
  await browser.open(`${url}#step=2&theme=dark`);
  const dark = await browser.evaluate('getComputedStyle(document.body).backgroundColor');
  return (await span()) > 0.9 * (await browser.evaluate('END'))
    ? 'not zoomed'
    : dark === 'rgb(20, 23, 26)'
      ? missing(STEP, 'dark')
      : `background ${dark}`;
});
await check('nothing was thrown or asked for', async () => browser.problems.join('; '));

// The checks themselves: pages that draw nothing must not pass.
const text = readFileSync(page, 'utf8');
for (const [what, broken] of [
  ['without drawing', text.replace('function drawSpans(g, list, y, h) {', '$& return 0;')],
  ['without events', text.replace(/"(compute|wait|read)":\[[^\]]*\]/g, '"$1":[]')],
])
  await check(`a page ${what} is noticed`, async () => {
    writeFileSync(`${page}.broken.html`, broken);
    await browser.open(`${url}.broken.html`);
    return broken === text ? 'the page could not be broken' : (await missing(LANES)) ? '' : 'it passed';
  });
await browser.close();
process.exit(failures ? 1 : 0);
