/**
 * How fast the model in a browser's tab looks through the catalogue's pictures for a painted region, and what is kept of them in memory, in a real Chromium
 * (docs/performance.md).
 *
 *   npm start                                                     # in another terminal
 *   npx tsx bench/region-scan.ts --url http://127.0.0.1:3000 [--seconds 60] [--where tab|server] [--out FILE]
 *
 * The file keeps the last result of each place. The pace is counted from the first picture on, so without loading the model; memory is that of the page's process before the model, when the pace begins and at the end.
 */
import { readFile, writeFile } from "node:fs/promises";
import os from "node:os";
import { parseArgs } from "node:util";
import { type Browser, chromium } from "@playwright/test";
import { findChromium } from "@/cli/setup/chromium.mjs";
import type { Dictionary, FeaturePage } from "@/lib/core/records";
import { emptyRegion, encodeRegion, paintShape } from "@/lib/core/region";
import { routes } from "@/lib/core/routes";

const { values: args } = parseArgs({
  options: {
    url: { type: "string", default: "http://127.0.0.1:3000" },
    seconds: { type: "string", default: "60" },
    where: { type: "string", default: "tab" },
    out: { type: "string" },
  },
});
const patience = 180_000;
const at = (path: string) => new URL(path, args.url).href;
const getJson = async <T>(path: string) => (await (await fetch(at(path))).json()) as T;

/** Megabytes of the browser's pages with their workers, shared pages by their share (Linux' Pss), and seconds of processor time that they have used. */
async function usedBy(browser: Browser): Promise<{ mb: number; cpuS: number }> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  let sum = 0;
  let cpuS = 0;
  for (const { id, type, cpuTime } of processInfo) {
    if (type !== "renderer") continue;
    const told = await readFile(`/proc/${id}/smaps_rollup`, "utf8").catch(() => "");
    sum += 1024 * Number(/^Pss:\s+(\d+)/m.exec(told)?.[1] ?? 0);
    cpuS += cpuTime;
  }
  return { mb: Math.round(sum / 1e6), cpuS };
}

const { items } = await getJson<{ items: Dictionary[] }>(routes.api.dictionaries());
const dictionary = items.find(({ engine }) => engine === "ready");
if (!dictionary) throw new Error("No dictionary here has an engine.");
const list = await getJson<FeaturePage>(routes.api.features({ dictionary: dictionary.ref, sort: "-iou", concept: "object", limit: 1 }));
const image = list.items[0]?.top[0]?.image as string;
const region = encodeRegion(paintShape(emptyRegion(12, 12), { kind: "box", from: { x: 2, y: 2 }, to: { x: 8, y: 8 } }));

const browser = await chromium.launch({ executablePath: findChromium() ?? undefined, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage();
  await page.goto(at(routes.image(image, { dictionary: dictionary.ref, region })), { waitUntil: "networkidle", timeout: patience });
  const all = page.getByRole("region", { name: "Every picture of the catalogue" });
  const state = async () => {
    const text = (await all.textContent()) ?? "";
    const [, looked = "0", total = "0"] = /([\d,]+) of ([\d,]+) pictures looked through/.exec(text) ?? [];
    const number = (digits: string) => Number(digits.replaceAll(",", ""));
    return { looked: number(looked), total: number(total), keptMb: Number(/([\d.]+) MB kept/.exec(text)?.[1] ?? 0) };
  };
  const memory = { before: (await usedBy(browser)).mb, begun: 0, end: 0 };
  if (args.where === "server") await all.getByRole("radio", { name: "on the server" }).click();
  await all.getByRole("button", { name: /^Look through all/ }).click();
  while ((await state()).looked === 0) await page.waitForTimeout(100);
  const used = await usedBy(browser);
  memory.begun = used.mb;
  const first = await state();
  const start = performance.now();
  let now = first;
  while (performance.now() - start < 1000 * Number(args.seconds) && now.looked < now.total) {
    await page.waitForTimeout(500);
    now = await state();
  }
  const seconds = (performance.now() - start) / 1000;
  const { mb, cpuS } = await usedBy(browser);
  memory.end = mb;
  const pictures = now.looked - first.looked;
  const result = {
    date: new Date().toISOString().slice(0, 16),
    machine: `${os.cpus().length} cores, ${os.cpus()[0]?.model}`,
    load: Number((os.loadavg()[0] ?? 0).toFixed(1)),
    chromium: browser.version(),
    where: args.where,
    pictures,
    seconds: Number(seconds.toFixed(1)),
    perSecond: Number((pictures / seconds).toFixed(2)),
    cpuMsPerPicture: Math.round((1000 * (cpuS - used.cpuS)) / pictures),
    minutesForAll: Number((now.total / (pictures / seconds) / 60).toFixed(1)),
    total: now.total,
    looked: now.looked,
    keptMb: now.keptMb,
    memoryMb: memory,
  };
  console.log(JSON.stringify(result, null, 2));
  if (args.out) {
    const known = JSON.parse(await readFile(args.out, "utf8").catch(() => "{}")) as object;
    await writeFile(args.out, `${JSON.stringify({ ...known, [args.where]: result }, null, 2)}\n`);
  }
} finally {
  await browser.close();
}
