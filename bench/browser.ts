/**
 * What running the embedded model in a browser's tab takes, in a real Chromium: its first load and a warm one, memory, and tokens a second beside the server's own.
 *
 *   npm start                                                     # in another terminal
 *   npx tsx bench/browser.ts --url http://127.0.0.1:3000 [--rounds 3] [--runs 5] [--features 4] [--out FILE]
 *
 * A load is from pressing "Load the model" to "Runs here"; the first one of a browser that has nothing, the warm one after the page was loaded anew. Memory is
 * that of the page's process, before the model, with it, and after a picture. Tokens are those of all arms of a
 * run over the time between its prompt and its last token, by its receipts; the same requests run on the server and in the tab, by turns.
 */
import { readFile, writeFile } from "node:fs/promises";
import os from "node:os";
import { parseArgs } from "node:util";
import { type Browser, chromium, type Page } from "@playwright/test";
import { findChromium } from "@/cli/setup/chromium.mjs";
import type { RunState } from "@/components/steer/run-state";
import type { Dictionary, FeatureCard } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";

const { values: args } = parseArgs({
  options: {
    url: { type: "string", default: "http://127.0.0.1:3000" },
    rounds: { type: "string", default: "3" },
    runs: { type: "string", default: "5" },
    features: { type: "string", default: "4" },
    out: { type: "string" },
  },
});
const patience = 180_000;
const rounds = Number(args.rounds);
const at = (path: string) => new URL(path, args.url).href;
const getJson = async <T>(path: string) => (await (await fetch(at(path))).json()) as T;
const round = (value: number, digits = 0) => Number(value.toFixed(digits));
const load = () => round(os.loadavg()[0] ?? 0, 1);

function summary(values: number[]) {
  const sorted = [...values].sort((a, b) => a - b);
  return { n: sorted.length, median: sorted[Math.floor(sorted.length / 2)], least: sorted[0], most: sorted.at(-1) };
}

/** Functions that tsx passes on to the page call its helper, which only keeps their names. */
async function newContext(browser: Browser) {
  const context = await browser.newContext();
  await context.addInitScript("globalThis.__name = (named) => named");
  return context;
}

/**
 * Bytes of the browser's pages with their workers: what their processes hold of memory, shared pages by their share (Linux' Pss). The browser's own measure
 * (`measureUserAgentSpecificMemory`) waits for every worker, and the runtime's threads sleep where they hear nothing.
 */
async function memoryOf(browser: Browser): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  let sum = 0;
  for (const { id, type } of processInfo) {
    if (type !== "renderer") continue;
    const told = await readFile(`/proc/${id}/smaps_rollup`, "utf8").catch(() => "");
    sum += 1024 * Number(/^Pss:\s+(\d+)/m.exec(told)?.[1] ?? 0);
  }
  return sum;
}

/** Presses "Load the model"; milliseconds until all is here, and until it runs. */
async function loadModel(page: Page): Promise<{ fetchedMs: number; readyMs: number; runs: string }> {
  const panel = page.getByRole("region", { name: "The model in this tab" });
  const button = panel.getByRole("button", { name: "Load the model" });
  await button.waitFor({ timeout: patience });
  // In the page, since each question of this program takes the browser's time.
  const ended = page.evaluate(
    (patience) =>
      new Promise<{ fetchedMs: number; readyMs: number; runs: string }>((resolve, reject) => {
        const start = performance.now();
        let fetchedMs = 0;
        const look = () => {
          const text = document.querySelector('[aria-label="The model in this tab"]')?.textContent ?? "";
          const now = performance.now() - start;
          if (!fetchedMs && /Starting the model|Runs here/.test(text)) fetchedMs = now;
          const runs = /Runs here, on [^.]*/.exec(text)?.[0];
          if (runs) return resolve({ fetchedMs, readyMs: now, runs });
          if (now > patience) return reject(new Error(`It does not run: ${text}`));
          setTimeout(look, 10);
        };
        look();
      }),
    patience,
  );
  await button.click();
  return await ended;
}

async function loadOnce(browser: Browser, dictionary: Dictionary, picture: Buffer) {
  const context = await newContext(browser);
  const page = await context.newPage();
  let bytes = 0;
  page.on("response", (response) => {
    const [, first, last] = /^bytes (\d+)-(\d+)/.exec(response.headers()["content-range"] ?? "") ?? [];
    if (last !== undefined && response.url().includes("/api/engine/files/")) bytes += Number(last) - Number(first) + 1;
  });
  await page.goto(at(routes.ownImage({ dictionary: dictionary.ref })), { waitUntil: "networkidle", timeout: patience });
  const before = await memoryOf(browser);
  const first = await loadModel(page);
  const [fetched, loaded] = [bytes, await memoryOf(browser)];
  await page.locator("main input[type=file]").setInputFiles({ name: "picture.png", mimeType: "image/png", buffer: picture });
  await page.locator("[data-row]").first().waitFor({ timeout: patience });
  const looked = await memoryOf(browser);
  await page.reload({ waitUntil: "networkidle", timeout: patience });
  const warm = await loadModel(page);
  await context.close();
  const memory = { before, loaded, looked };
  return { first, warm, bytes: { first: fetched, warm: bytes - fetched }, memory, load: load() };
}

interface Ran {
  tokens: number;
  decodeMs: number;
  prefillMs: number;
  texts: string[];
}

/** Presses Run and waits for the receipts, which the tab keeps under the request. */
async function runOnce(page: Page, inTab: boolean): Promise<Ran> {
  await page.evaluate(() => sessionStorage.removeItem("facet-steer-runs"));
  await page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first().click();
  const handle = await page.waitForFunction(
    () => {
      const [run] = JSON.parse(sessionStorage.getItem("facet-steer-runs") ?? "[]") as RunState[];
      return run && (run.status === "done" || run.status === "failed") ? run : null;
    },
    null,
    { timeout: patience },
  );
  const run = (await handle.jsonValue()) as RunState;
  if (run.status !== "done") throw new Error(`The run failed: ${run.error?.message}`);
  const receipts = run.arms.flatMap(({ receipt }) => receipt ?? []);
  if (receipts.some(({ engine }) => (engine.name === "onnxruntime-web") !== inTab)) throw new Error("It ran elsewhere.");
  return {
    tokens: receipts.reduce((sum, { tokens }) => sum + tokens, 0),
    // The arms go together.
    decodeMs: Math.max(...receipts.map(({ timingsMs }) => timingsMs.decode)),
    prefillMs: Math.max(...receipts.map(({ timingsMs }) => timingsMs.prefill)),
    texts: receipts.map(({ arm, text }) => `${arm}: ${text}`),
  };
}

async function steerBoth(browser: Browser, dictionary: Dictionary, cards: FeatureCard[]) {
  const context = await newContext(browser);
  const found = { server: [] as Ran[], tab: [] as Ran[] };
  let differ = 0;
  for (const card of cards) {
    const page = await context.newPage();
    await page.goto(at(routes.steer({ dictionary: dictionary.ref, feature: card.index, image: card.top[0]?.image })), {
      waitUntil: "networkidle",
      timeout: patience,
    });
    for (const inTab of [false, true]) {
      await page.getByRole("radio", { name: inTab ? "in this tab" : "on the server" }).click();
      // The first is for loading.
      await runOnce(page, inTab);
    }
    for (let i = 0; i < Number(args.runs); i++) {
      for (const [name, inTab] of [
        ["server", false],
        ["tab", true],
      ] as const) {
        await page.getByRole("radio", { name: inTab ? "in this tab" : "on the server" }).click();
        found[name].push(await runOnce(page, inTab));
      }
      if (JSON.stringify(found.server.at(-1)?.texts) !== JSON.stringify(found.tab.at(-1)?.texts)) differ++;
    }
    await page.close();
  }
  await context.close();
  const rates = (ran: Ran[]) => ({
    tokensPerSecond: summary(ran.map(({ tokens, decodeMs }) => round((1000 * tokens) / decodeMs))),
    prefillMs: summary(ran.map(({ prefillMs }) => round(prefillMs))),
    tokens: ran.reduce((sum, { tokens }) => sum + tokens, 0),
  });
  return { requests: cards.length, server: rates(found.server), tab: rates(found.tab), differentTexts: differ, load: load() };
}

const browser = await chromium.launch({
  executablePath: findChromium() ?? undefined,
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
try {
  const { items } = await getJson<{ items: Dictionary[] }>(routes.api.dictionaries());
  const dictionary = items.find(({ engine }) => engine !== "none");
  if (!dictionary) throw new Error("No dictionary of this server has an engine.");
  const page = await getJson<{ items: FeatureCard[] }>(`${routes.api.features({ dictionary: dictionary.ref, limit: "50" })}`);
  const cards = page.items.filter(({ label, top, dead }) => label && top.length > 0 && !dead).slice(0, Number(args.features));
  const image = cards[0]?.top[0]?.image;
  if (!image) throw new Error("No feature has a picture.");
  const picture = Buffer.from(await (await fetch(at(routes.api.image(image)))).arrayBuffer());
  const loads: Awaited<ReturnType<typeof loadOnce>>[] = [];
  for (let i = 0; i < rounds; i++) {
    loads.push(await loadOnce(browser, dictionary, picture));
    console.log(JSON.stringify(loads.at(-1)));
  }
  const steering = await steerBoth(browser, dictionary, cards);
  const all = (pick: (one: (typeof loads)[number]) => number) => summary(loads.map((one) => round(pick(one))));
  const result = {
    machine: { cpu: os.cpus()[0]?.model, cores: os.cpus().length, load: load(), chromium: browser.version(), node: process.version },
    dictionary: dictionary.ref,
    firstLoadMs: { fetched: all(({ first }) => first.fetchedMs), ready: all(({ first }) => first.readyMs) },
    warmLoadMs: { taken: all(({ warm }) => warm.fetchedMs), ready: all(({ warm }) => warm.readyMs) },
    fetchedBytes: { first: all(({ bytes }) => bytes.first), warm: all(({ bytes }) => bytes.warm) },
    memoryBytes: {
      before: all(({ memory }) => memory.before),
      loaded: all(({ memory }) => memory.loaded),
      looked: all(({ memory }) => memory.looked),
    },
    runs: [...new Set(loads.map(({ first }) => first.runs))],
    steering,
    rounds: loads,
  };
  const text = `${JSON.stringify(result, null, 2)}\n`;
  if (args.out) await writeFile(args.out, text);
  console.log(text);
} finally {
  await browser.close();
}
