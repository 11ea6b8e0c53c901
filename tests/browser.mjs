// A headless Chromium by its DevTools pipe, and the pixels of its screenshots. No packages.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';

// What a page threw, logged as an error, or asked the network for lands in `problems`.
export async function openBrowser(program, width, height) {
  const profile = mkdtempSync(join(tmpdir(), 'hy-browser-'));
  const child = spawn(
    program,
    [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-extensions',
      '--disable-background-networking',
      '--force-device-scale-factor=1',
      `--window-size=${width},${height}`,
      `--user-data-dir=${profile}`,
      '--remote-debugging-pipe',
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  );
  const waiting = new Map(),
    listeners = [],
    problems = [];
  let n = 0,
    rest = '',
    session;
  const ended = new Promise(resolve => child.once('exit', resolve));
  child.stdio[3].on('error', () => {});
  child.stdio[4].setEncoding('utf8').on('data', text => {
    const messages = (rest + text).split('\0');
    rest = messages.pop();
    for (const m of messages.map(JSON.parse)) {
      if (m.id) {
        const { resolve, reject } = waiting.get(m.id);
        waiting.delete(m.id);
        if (m.error) reject(new Error(m.error.message));
        else resolve(m.result);
      } else for (const listen of listeners) listen(m);
    }
  });
  const fail = error => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  child.once('error', fail);
  child.once('exit', code => fail(new Error(`the browser ended with ${code}`)));
  const send = (method, params = {}) =>
    new Promise((resolve, reject) => {
      waiting.set(++n, { resolve, reject });
      child.stdio[3].write(JSON.stringify({ id: n, method, params, sessionId: session }) + '\0');
    });
  const once = method =>
    new Promise(resolve =>
      listeners.push(function listen(m) {
        if (m.method !== method) return;
        listeners.splice(listeners.indexOf(listen), 1);
        resolve(m.params);
      }),
    );

  const { targetInfos } = await send('Target.getTargets');
  session = (
    await send('Target.attachToTarget', { targetId: targetInfos.find(t => t.type === 'page').targetId, flatten: true })
  ).sessionId;
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
  listeners.push(m => {
    if (m.method === 'Runtime.exceptionThrown')
      problems.push(m.params.exceptionDetails.exception?.description || m.params.exceptionDetails.text);
    if (m.method === 'Log.entryAdded' && m.params.entry.level === 'error') problems.push(m.params.entry.text);
    if (m.method === 'Network.requestWillBeSent' && !/^(file|data):/.test(m.params.request.url))
      problems.push(`asks for ${m.params.request.url}`);
  });

  const evaluate = async expression => {
    const { result, exceptionDetails } = await send('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description || exceptionDetails.text);
    return result.value;
  };
  const mouse = (type, x, y, more = {}) => send('Input.dispatchMouseEvent', { type, x, y, ...more });
  return {
    problems,
    evaluate,
    async open(url) {
      const loaded = once('Page.loadEventFired');
      await send('Page.navigate', { url });
      await loaded;
      await this.drawn();
    },
    drawn: () => evaluate('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))'),
    async key(key) {
      await send('Input.dispatchKeyEvent', { type: 'keyDown', key, text: key.length === 1 ? key : undefined });
      await send('Input.dispatchKeyEvent', { type: 'keyUp', key });
      await this.drawn();
    },
    async move(x, y) {
      await mouse('mouseMoved', x, y);
      await this.drawn();
    },
    async click(x, y) {
      await mouse('mousePressed', x, y, { button: 'left', clickCount: 1 });
      await mouse('mouseReleased', x, y, { button: 'left', clickCount: 1 });
      await this.drawn();
    },
    async drag(x0, x1, y) {
      await mouse('mousePressed', x0, y, { button: 'left', buttons: 1, clickCount: 1 });
      for (let k = 1; k <= 5; k++)
        await mouse('mouseMoved', x0 + ((x1 - x0) * k) / 5, y, { button: 'left', buttons: 1 });
      await mouse('mouseReleased', x1, y, { button: 'left', clickCount: 1 });
      await this.drawn();
    },
    async wheel(x, y, deltaY) {
      await evaluate('wheeled = new Promise(done => addEventListener("wheel", () => done(true), { once: true, capture: true })), 0');
      await mouse('mouseWheel', x, y, { deltaX: 0, deltaY });
      await evaluate('wheeled');
      await this.drawn();
    },
    async screenshot() {
      const { cssContentSize: s } = await send('Page.getLayoutMetrics');
      const shot = await send('Page.captureScreenshot', {
        format: 'png',
        captureBeyondViewport: true,
        clip: { x: 0, y: 0, width: s.width, height: s.height, scale: 1 },
      });
      return Buffer.from(shot.data, 'base64');
    },
    async close() {
      send('Browser.close').catch(() => {});
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(timer);
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

// 8-bit RGB or RGBA without interlacing, which is what screenshots are.
export function decodePng(bytes) {
  const parts = [];
  let width, height, channels;
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    const type = bytes.toString('latin1', at + 4, at + 8),
      data = bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at));
    if (type === 'IDAT') parts.push(data);
    if (type !== 'IHDR') continue;
    [width, height, channels] = [data.readUInt32BE(0), data.readUInt32BE(4), { 2: 3, 6: 4 }[data[9]]];
    if (data[8] !== 8 || !channels || data[12]) throw new Error('not the kind of PNG that a screenshot is');
  }
  const raw = inflateSync(Buffer.concat(parts)),
    row = width * channels,
    out = Buffer.alloc(height * row);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (row + 1)];
    for (let i = 0; i < row; i++) {
      const left = i < channels ? 0 : out[y * row + i - channels],
        up = y ? out[(y - 1) * row + i] : 0,
        corner = y && i >= channels ? out[(y - 1) * row + i - channels] : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      out[y * row + i] = raw[y * (row + 1) + 1 + i] + guess;
    }
  }
  return { width, height, at: (x, y) => out.subarray(y * row + x * channels, y * row + x * channels + 3) };
}

function paeth(a, b, c) {
  const p = a + b - c,
    pa = Math.abs(p - a),
    pb = Math.abs(p - b),
    pc = Math.abs(p - c);
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}
