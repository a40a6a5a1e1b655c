/**
 * The list of features in a browser, as it was built for people (docs/performance.md): frames while the grid is scrolled, main-thread time of
 * its heatmaps, bytes of its first page. Run: npx tsx bench/grid.ts [options]
 *
 *   --url URL     a server that runs already; else one is built and started over the demo's catalogue, under .facet/bench/grid
 *   --rates a,b   how many times slower the browser's processor is made (1,4,6)
 *   --rounds N    pages opened at each (3)      --seconds N   of scrolling on each (5)
 *
 * Times of the main thread are of its own processor time where the browser knows it, so that other work on the machine counts little; frames
 * need the machine to themselves. Results: bench/results/grid.json.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { type Browser, type CDPSession, chromium, type Page } from "@playwright/test";
import { ensureBuild, ensurePrismaClient } from "../cli/setup/build.mjs";
import { ensureCatalogue } from "../cli/setup/catalogue.mjs";
import { findChromium } from "../cli/setup/chromium.mjs";
import { inRoot } from "../cli/setup/paths.mjs";
import { freePort, startNext, untilServed } from "../cli/setup/server.mjs";
import { step } from "../cli/setup/step.mjs";
import type { Dictionary } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { quantile, round } from "./catalogue/timing";

const { values: given } = parseArgs({
  options: {
    url: { type: "string" },
    rates: { type: "string", default: "1,4,6" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "5" },
  },
});
const rates = given.rates.split(",").map(Number);
const rounds = Number(given.rounds);
const seconds = Number(given.seconds);
const viewport = { width: 1440, height: 900 };
/** CSS pixels a second: five rows of cards. */
const speed = 1500;
const fifty = 50;

/** Starts the built app over a catalogue of the demo's; resolves with its address and what ends it. */
async function serve(): Promise<{ url: string; end: () => void }> {
  if (given.url) return { url: given.url, end: () => {} };
  const env = { FACET_DATA_DIR: inRoot(".facet", "bench", "grid"), DATABASE_URL: "", FACET_EMBEDDINGS_URL: "" };
  await step("Database", ensurePrismaClient);
  await step("Build", (say) => ensureBuild(say));
  await step("Catalogue", (say) => ensureCatalogue(say, { env, bundle: "demo/bundle" }));
  const port = await freePort();
  const server = startNext({ host: "127.0.0.1", port, env });
  const url = `http://127.0.0.1:${port}`;
  await untilServed(url, server);
  return { url, end: () => server.kill("SIGTERM") };
}

/** Counts the canvases that are drawn, and their pixels. */
function countDrawing(): void {
  const drawn = { count: 0, pixels: 0 };
  Object.assign(window, { drawn });
  const prototype = CanvasRenderingContext2D.prototype as { putImageData: (image: ImageData, ...rest: number[]) => void };
  const put = prototype.putImageData;
  prototype.putImageData = function (image, ...rest) {
    drawn.count += 1;
    drawn.pixels = image.width * image.height;
    put.call(this, image, ...rest);
  };
}

interface Drawn {
  count: number;
  /** Canvas pixels of one. */
  pixels: number;
}

const drawnOn = (page: Page) => page.evaluate(() => (window as unknown as { drawn: Drawn }).drawn);

/** Scrolls at an even speed, a step a frame, and answers how long each frame took, in milliseconds. */
function scrollDown({ speed, seconds }: { speed: number; seconds: number }): Promise<{ frames: number[]; long: number[] }> {
  return new Promise((resolve) => {
    const frames: number[] = [];
    const long: number[] = [];
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) long.push(entry.duration);
    });
    observer.observe({ entryTypes: ["longtask"] });
    const start = performance.now();
    const from = window.scrollY;
    let last = start;
    const frame = (now: number) => {
      if (now > last) frames.push(now - last);
      last = Math.max(last, now);
      const elapsed = now - start;
      if (elapsed > seconds * 1000) {
        observer.disconnect();
        resolve({ frames, long });
        return;
      }
      window.scrollTo(0, from + (speed * elapsed) / 1000);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

/** Processor seconds of the page's main thread so far. */
async function taskSeconds(session: CDPSession): Promise<number> {
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN;
}

/** A page whose processor is slowed down, opened at `url` with the heat of its first screen drawn. */
async function openSlowed(
  browser: Browser,
  url: string,
  rate: number,
): Promise<{ page: Page; session: CDPSession; go: () => Promise<void> }> {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  // What compiles this file wraps functions in a helper that the page lacks.
  await page.addInitScript("globalThis.__name = (value) => value");
  await page.addInitScript(countDrawing);
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  await session.send("Emulation.setCPUThrottlingRate", { rate });
  const go = async () => {
    await page.goto(url, { waitUntil: "networkidle", timeout: 120_000 });
    await page.waitForFunction((): boolean => (window as unknown as { drawn: Drawn }).drawn.count > 0);
  };
  return { page, session, go };
}

interface Scrolled {
  rate: number;
  framesPerSecond: number;
  frameP50: number;
  frameP95: number;
  frameMax: number;
  /** Tasks over 50 ms, of the clock. */
  longTasks: number;
  longest: number;
  /** Of the main thread's processor time, a frame, ms. */
  busyPerFrame: number;
  heatmaps: number;
}

async function scrollOnce(browser: Browser, url: string, rate: number): Promise<Scrolled> {
  const { page, session, go } = await openSlowed(browser, url, rate);
  await go();
  const already = (await drawnOn(page)).count;
  const before = await taskSeconds(session);
  const { frames, long } = await page.evaluate(scrollDown, { speed, seconds });
  const busy = (await taskSeconds(session)) - before;
  const heatmaps = (await drawnOn(page)).count - already;
  await page.context().close();
  const total = frames.reduce((sum, ms) => sum + ms, 0);
  return {
    rate,
    framesPerSecond: round((1000 * frames.length) / total),
    frameP50: round(quantile(frames, 0.5)),
    frameP95: round(quantile(frames, 0.95)),
    frameMax: round(Math.max(...frames)),
    longTasks: long.length,
    longest: round(Math.max(0, ...long)),
    busyPerFrame: round((1000 * busy) / frames.length, 2),
    heatmaps,
  };
}

interface Heat {
  rate: number;
  heatmaps: number;
  pixels: number;
  /** Processor time of the main thread, and time of the clock, in the callbacks that drew them, ms. */
  thread: number;
  clock: number;
}

/** Draws the page's heatmaps, screen after screen, until there were `fifty`, and reads from the browser's trace what they took. */
async function drawOnce(browser: Browser, url: string, rate: number): Promise<Heat> {
  const { page, go } = await openSlowed(browser, url, rate);
  await browser.startTracing(page, { categories: ["devtools.timeline"] });
  await go();
  let drawn = await drawnOn(page);
  for (let i = 0; i < 20 && drawn.count < fifty; i++) {
    await page.mouse.move(viewport.width / 2, viewport.height / 2);
    await page.mouse.wheel(0, viewport.height);
    await page.waitForTimeout(700);
    drawn = await drawnOn(page);
  }
  const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: { name: string; dur?: number; tdur?: number }[] };
  await page.context().close();
  const callbacks = trace.traceEvents.filter(({ name }) => name === "FireIdleCallback");
  const sum = (of: "dur" | "tdur") => callbacks.reduce((total, event) => total + (event[of] ?? 0), 0) / 1000;
  return { rate, heatmaps: drawn.count, pixels: drawn.pixels, thread: round(sum("tdur")), clock: round(sum("dur")) };
}

/** Bytes over the wire of the page as it opens, by kind, headers included. */
async function weigh(browser: Browser, url: string): Promise<Record<string, number>> {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  const kinds = new Map<string, string>();
  const bytes: Record<string, number> = {};
  session.on("Network.responseReceived", ({ requestId, type, response }) => {
    kinds.set(requestId, response.url.includes("/api/features?") ? "Next page" : type);
  });
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const kind = kinds.get(requestId) ?? "Other";
    bytes[kind] = (bytes[kind] ?? 0) + encodedDataLength;
  });
  await page.goto(url, { waitUntil: "networkidle", timeout: 120_000 });
  await context.close();
  return bytes;
}

const server = await serve();
const browser = await chromium.launch({
  executablePath: findChromium() ?? undefined,
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
try {
  const answer = await fetch(new URL(routes.api.dictionaries(), server.url));
  const { items } = (await answer.json()) as { items: Dictionary[] };
  const dictionary = items[0];
  if (!dictionary) throw new Error("The catalogue holds no dictionary.");
  const url = new URL(routes.dictionary(dictionary.ref), server.url).href;
  const bytes = await weigh(browser, url);
  console.log(`bytes over the wire: ${JSON.stringify(bytes)}`);
  const scrolled: Scrolled[] = [];
  const drawn: Heat[] = [];
  for (let i = 0; i < rounds; i++) {
    for (const rate of rates) {
      scrolled.push(await scrollOnce(browser, url, rate));
      console.log(JSON.stringify(scrolled.at(-1)));
      drawn.push(await drawOnce(browser, url, rate));
      console.log(JSON.stringify(drawn.at(-1)));
    }
  }
  const median = (values: number[]) => quantile(values, 0.5);
  const table = rates.map((rate) => {
    const of = scrolled.filter((one) => one.rate === rate);
    const heat = drawn.filter((one) => one.rate === rate);
    return {
      rate,
      framesPerSecond: median(of.map((one) => one.framesPerSecond)),
      frameP50: median(of.map((one) => one.frameP50)),
      frameP95: median(of.map((one) => one.frameP95)),
      longTasks: median(of.map((one) => one.longTasks)),
      busyPerFrame: median(of.map((one) => one.busyPerFrame)),
      fiftyThread: round(median(heat.map((one) => (fifty * one.thread) / one.heatmaps))),
      fiftyClock: round(median(heat.map((one) => (fifty * one.clock) / one.heatmaps))),
    };
  });
  console.table(table);
  const results = {
    date: new Date().toISOString().slice(0, 16),
    machine: `${availableParallelism()} cores (${cpus()[0]?.model.trim()}), Node ${process.versions.node}, Chromium ${browser.version()} without a GPU`,
    loadAverage: round(loadavg()[0] ?? Number.NaN),
    page: { ...viewport, features: dictionary.counts.features, speed, seconds, rounds },
    bytes,
    table,
    scrolled,
    drawn,
  };
  const file = inRoot("bench", "results", "grid.json");
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(results, null, 1)}\n`);
} finally {
  await browser.close();
  server.end();
}
