/** The engine in the visitor's own tab: what it fetches and keeps, what it sees, what it sends (nothing), and that it answers as the server's does. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "@playwright/test";

import type { RunState } from "../components/steer/run-state";
import type { Analysis } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { sharp } from "../lib/sharp";
import { type Catalogue, expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";

test.describe.configure({ mode: "default" });

const pictures = path.join(path.dirname(fileURLToPath(import.meta.url)), "fixtures", "pictures");
const panel = (page: Page) => page.getByRole("region", { name: "The model in this tab" });
const choose = (page: Page, files: string | { name: string; mimeType: string; buffer: Buffer }) =>
  page.locator("main input[type=file]").setInputFiles(files);
const runButton = (page: Page) => page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first();
const ready = (page: Page) => expect(panel(page)).toContainText(/Runs here, on (\d threads|one thread)/, { timeout: 90_000 });

/** The pixels of the picture as the model sees it, RGB. */
async function seen(page: Page): Promise<number[]> {
  return page.getByRole("img", { name: "The picture as the model sees it" }).evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const { data } = (canvas.getContext("2d") as CanvasRenderingContext2D).getImageData(0, 0, canvas.width, canvas.height);
    return Array.from(data).filter((_, i) => i % 4 !== 3);
  });
}

test("a picture of one's own: looked at in the tab as the server and the Python processor would, and nothing of it is sent", async ({
  page,
  request,
  catalogue,
}) => {
  test.setTimeout(240_000);
  const { dictionary } = catalogue;
  const sent: string[] = [];
  page.on("request", (asked) => {
    if (asked.method() !== "GET" || asked.postData()) sent.push(`${asked.method()} ${asked.url()}`);
    if (/\/api\/(analyse|steer|features)|\/d\/[^?]+\/\d+(\?|$)/.test(asked.url())) sent.push(asked.url());
  });
  await open(page, routes.ownImage({ dictionary: dictionary.ref }));
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  await expect(panel(page)).toContainText(/\d+ MB will be fetched from this server first/);
  await choose(page, path.join(pictures, "odd.png"));
  await ready(page);
  await expect(page.locator("[data-row]").first()).toBeVisible();

  // What fires is what the server finds, in its order and to its numbers.
  const own = readFileSync(path.join(pictures, "odd.png"));
  const dataUrl = `data:image/png;base64,${own.toString("base64")}`;
  const answer = await request.post(routes.api.analyse(), { data: { dictionary: dictionary.ref, image: { dataUrl }, limit: 200 } });
  const server = (await answer.json()) as Analysis;
  await expect(page.getByText(`${server.total} features fire`)).toBeVisible();
  await page.getByRole("radio", { name: "Mean" }).click();
  const expected = server.features.filter(({ alwaysOn, sink }) => !alwaysOn && !sink).slice(0, 8);
  for (const [i, { label, mean }] of expected.entries()) {
    const name = (await page.locator("[data-row]").nth(i).getAttribute("aria-label")) as string;
    const [, value] = /, ([\d.]+)$/.exec(name) ?? [];
    expect(name.startsWith(label ?? "unexplained"), `${name} where the server has ${label}`).toBe(true);
    expect(Math.abs(Number(value) - mean)).toBeLessThanOrEqual(0.006 * Math.max(1, mean));
  }

  // Every way in which pictures are stored, as the Python processor squashes it.
  for (const file of readdirSync(pictures).filter((name) => !name.endsWith(".seen.png"))) {
    await choose(page, path.join(pictures, file));
    await expect(page.getByRole("button", { name: "Another picture" })).toBeVisible();
    await expect(page.getByText(file, { exact: true })).toBeVisible();
    await expect(page.getByRole("img", { name: "The picture as the model sees it" })).toBeVisible();
    const wanted = await sharp(path.join(pictures, `${file}.seen.png`))
      .removeAlpha()
      .toColourspace("srgb")
      .raw()
      .toBuffer();
    const found = await seen(page);
    expect(found).toHaveLength(wanted.length);
    const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - (wanted[i] as number))), 0);
    expect(worst, `${file}: the pixel that is farthest off, of 255`).toBeLessThanOrEqual(1);
  }

  // A file that is none is refused in a sentence, and the next is looked at.
  await choose(page, { name: "broken.jpg", mimeType: "image/jpeg", buffer: Buffer.from([0xff, 0xd8, 0xff, 1, 2, 3]) });
  await expect(page.getByText("This browser cannot read the picture", { exact: false })).toBeVisible();
  await choose(page, path.join(pictures, "odd.png"));
  await expect(page.locator("[data-row]").first()).toBeVisible();
  expect(sent, "nothing is sent, and no feature is named to the server").toEqual([]);

  await page.locator("[data-row]").first().click();
  await expect(page.getByRole("region", { name: "The catalogue's examples" }).getByRole("listitem").first()).toBeVisible();
  await expectNoGraveViolations(page);
  await expectNoSidewaysScrolling(page);

  // The second visit fetches nothing of the model; what is kept can be freed.
  const fetched: string[] = [];
  page.on("request", (asked) => {
    if (/\/api\/engine\/files\/.*(?<!\.mjs)$/.test(asked.url())) fetched.push(asked.url());
  });
  await page.reload();
  await expect(panel(page)).toContainText("All of it is in this browser already.");
  await choose(page, path.join(pictures, "odd.png"));
  await ready(page);
  expect(fetched).toEqual([]);
  await page.getByRole("button", { name: /^Free \d+ MB/ }).click();
  await expect(panel(page)).toContainText(/\d+ MB will be fetched/);
  const left = await page.evaluate(async () => {
    const stores = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
    return stores.flat().length;
  });
  expect(left, "files that are still kept").toBe(0);
});

test("a download that is tampered with or breaks off is refused in a sentence, and a retry goes on", async ({ page, catalogue }) => {
  test.setTimeout(180_000);
  let attempts = 0;
  await page.route(/\/api\/engine\/files\/.*model\.safetensors/, async (route) => {
    attempts++;
    if (attempts === 2) return route.abort("connectionreset");
    if (attempts > 2) return route.fallback();
    const answer = await route.fetch();
    const body = await answer.body();
    body[body.length - 1] = (body[body.length - 1] as number) ^ 1;
    await route.fulfill({ response: answer, body });
  });
  await open(page, routes.ownImage({ dictionary: catalogue.dictionary.ref }));
  await panel(page).getByRole("button", { name: "Load the model" }).click();
  // Its first part was changed on its way, its second breaks off: a retry goes on behind the first, and finds the whole damaged.
  for (const said of ["The download of model.safetensors broke off.", "model.safetensors arrived damaged"]) {
    await expect(panel(page).getByRole("alert")).toContainText(said, { timeout: 60_000 });
    await panel(page).getByRole("button", { name: "Try again" }).click();
  }
  await ready(page);
});

/** The receipts of the last run, as the tab keeps them, without what has to differ: who computed, and how long it took. */
const receiptsOf = (page: Page) =>
  page.evaluate(() => {
    const [run] = JSON.parse(sessionStorage.getItem("facet-steer-runs") ?? "[]") as RunState[];
    return (run?.arms ?? []).map(({ receipt }) => ({ ...receipt, engine: null, timingsMs: null }));
  });

/** The same texts and counts, and numbers within what the order of float32 sums explains. */
function expectSame(found: unknown, wanted: unknown, where = "receipts"): void {
  if (typeof wanted === "number" && !Number.isInteger(wanted)) {
    expect(Math.abs((found as number) - wanted), `${where}: ${found} for ${wanted}`).toBeLessThanOrEqual(
      1e-3 * Math.max(1, Math.abs(wanted)),
    );
  } else if (wanted !== null && typeof wanted === "object") {
    expect(Object.keys(found as object).sort(), where).toEqual(Object.keys(wanted).sort());
    for (const [key, value] of Object.entries(wanted)) expectSame((found as Record<string, unknown>)[key], value, `${where}.${key}`);
  } else expect(found, where).toEqual(wanted);
}

async function answersOf(page: Page): Promise<string[]> {
  const region = (name: string) => page.getByRole("region", { name: `${name} answer` });
  const told: string[] = [];
  for (const name of ["Steered", "Baseline"]) {
    await expect(region(name).getByText("Receipt").first()).toBeVisible({ timeout: 90_000 });
    const tokens = await region(name).getByRole("toolbar").getByRole("button").allInnerTexts();
    told.push(`${name}: ${tokens.join("|")}`);
  }
  return told;
}

test("steering in the tab: the server's own answers, token for token, with receipts", async ({
  page,
  catalogue,
}: {
  page: Page;
  catalogue: Catalogue;
}) => {
  test.setTimeout(240_000);
  const { dictionary, card } = catalogue;
  await open(page, routes.steer({ dictionary: dictionary.ref, feature: card.index, image: card.top[0]?.image }));
  await runButton(page).click();
  const server = await answersOf(page);
  const receipts = await receiptsOf(page);
  expect(receipts).toHaveLength(2);
  const steered: string[] = [];
  /** Requests that tell the request in their address or in that of the page that asks. */
  const told: string[] = [];
  let watching = false;
  page.on("request", (asked) => {
    if (watching && `${asked.url()} ${asked.headers().referer ?? ""}`.includes("r=1.")) told.push(asked.url());
    if ([routes.api.steer(), routes.api.attribute()].some((path) => asked.url().includes(path))) steered.push(asked.url());
  });
  await page.getByRole("radio", { name: "in this tab" }).click();
  await expect(panel(page)).toContainText(/\d+ MB will be fetched/);
  await expect.poll(() => page.url()).toContain("#r=1.");
  watching = true;
  await runButton(page).click();
  await ready(page);
  await expect(page.getByText(/onnxruntime-web/).first()).toBeAttached({ timeout: 90_000 });
  expect(await answersOf(page)).toEqual(server);
  expectSame(await receiptsOf(page), receipts);
  // Why it said so is found out in the tab too.
  const word = page.getByRole("region", { name: "Baseline answer" }).getByRole("toolbar").getByRole("button").first();
  await word.focus();
  await page
    .getByRole("dialog", { name: /^Token/ })
    .getByRole("link", { name: "Why this word?" })
    .press("Enter");
  await expect(page.getByRole("list", { name: "Features by contribution" }).getByRole("listitem").first()).toBeVisible({ timeout: 90_000 });
  expect(steered, "the server was not asked").toEqual([]);
  expect(told, "the request is told to nobody").toEqual([]);
  await expect(page).toHaveURL(/\/trace\?.*token=0.*#r=1\./);
});

test("pages that do not use the model ship none of it", async ({ page, catalogue }) => {
  const { dictionary, card } = catalogue;
  const scripts: Promise<string>[] = [];
  const asked: string[] = [];
  page.on("response", (response) => {
    asked.push(new URL(response.url()).pathname);
    if (/\.m?js$/.test(new URL(response.url()).pathname)) scripts.push(response.text().catch(() => ""));
  });
  const image = card.top[0]?.image ?? "";
  const pages = [
    routes.home(),
    routes.dictionary(dictionary.ref),
    routes.feature(dictionary.ref, card.index),
    routes.image(image),
    routes.steer(),
    routes.trace(),
  ];
  for (const url of [...pages, routes.ownImage()]) await open(page, url);
  const runtime = (text: string) => text.includes("InferenceSession") || text.includes("ort-wasm");
  expect((await Promise.all(scripts)).filter(runtime)).toEqual([]);
  expect(asked.filter((path) => path.startsWith("/api/engine/files/"))).toEqual([]);
  // The same look finds it where it is used.
  await panel(page).getByRole("button", { name: "Load the model" }).click();
  await ready(page);
  expect(new Set(asked.filter((path) => path.endsWith(".wasm"))).size, "one build of the runtime").toBe(1);
  expect(asked.some((path) => path.endsWith(".mjs"))).toBe(true);
});

test("two pictures and words behind one: compared and read in the tab, and nothing of either is sent", async ({
  page,
  request,
  catalogue,
}) => {
  test.setTimeout(180_000);
  const { dictionary, card } = catalogue;
  const sent: string[] = [];
  const [one, two] = await Promise.all(
    card.top.slice(0, 2).map(async ({ image }, i) => {
      const answer = await request.get(routes.api.image(image));
      return { name: `${i}.webp`, mimeType: "image/webp", buffer: await answer.body(), image };
    }),
  );
  if (!one || !two) throw new Error("The feature has no two pictures.");
  await open(page, routes.ownImage({ dictionary: dictionary.ref }));
  page.on("request", (asked) => {
    if (asked.method() !== "GET" || /\/api\/(analyse|steer|features|region-pictures)|\/d\/[^?]+\/\d+(\?|$)/.test(asked.url()))
      sent.push(asked.url());
  });
  await choose(page, one);
  await ready(page);
  await expect(page.locator("[data-row]").first()).toBeVisible();

  // What fires on both is what the server finds on each.
  await page.getByRole("radio", { name: "Compare" }).click();
  await page.getByLabel("The second picture: the file").setInputFiles(two);
  const both = page.getByRole("region", { name: "On both", exact: true });
  await expect(both).toBeVisible();
  const analyses = await Promise.all(
    [one, two].map(async ({ image }) => {
      const answer = await request.post(routes.api.analyse(), {
        data: { dictionary: dictionary.ref, image: { sha256: image }, limit: 512 },
      });
      return ((await answer.json()) as Analysis).features;
    }),
  );
  const telling = (features: Analysis["features"]) => features.filter(({ alwaysOn, sink }) => !alwaysOn && !sink);
  const second = new Set(analyses[1]?.map(({ index }) => index));
  const shared = telling(analyses[0] ?? []).filter(({ index }) => second.has(index));
  await expect(both.getByRole("heading")).toHaveText(`On both ${shared.length}`);
  await expectNoGraveViolations(page);
  await expectNoSidewaysScrolling(page);

  // Words, chosen by keyboard.
  await page.getByRole("radio", { name: "Words too" }).click();
  await page.getByRole("textbox", { name: "Words behind the picture" }).fill("is there a dog ?");
  await page.getByRole("button", { name: "Read", exact: true }).click();
  const strip = page.getByRole("group", { name: "The prompt, token by token" });
  await expect(strip.getByRole("button", { name: /^dog: / })).toBeVisible();
  await strip.getByRole("button", { name: /^a: / }).focus();
  await page.keyboard.press("Shift+ArrowRight");
  await expect(page.getByText(/^2 tokens chosen: \d+ features of \d+ fire more there/)).toBeVisible();
  await expect(page.locator("[data-contrast-list] [data-row]").first()).toHaveAttribute(
    "aria-label",
    /, contrast [\d.]+, chosen [\d.]+, rest /,
  );
  await expectNoGraveViolations(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await expectNoSidewaysScrolling(page);
  expect(sent).toEqual([]);
});

test("words alone, and the catalogue's pictures: what is shown comes back by its address, which no server is told", async ({
  page,
  catalogue,
}) => {
  test.setTimeout(180_000);
  const { dictionary, card } = catalogue;
  const [one = "", two = ""] = card.top.map(({ image }) => image);
  const told: string[] = [];
  page.on("request", (asked) => {
    if (/words=|there\+a\+dog|mode=/.test(`${asked.url()} ${asked.headers().referer ?? ""} ${asked.postData() ?? ""}`))
      told.push(asked.url());
  });
  await open(page, routes.ownImage({ dictionary: dictionary.ref }));
  await page.getByRole("radio", { name: "Words too" }).click();
  await page.getByRole("textbox", { name: "Words", exact: true }).fill("is there a dog ?");
  await page.getByRole("button", { name: "Read", exact: true }).click();
  await ready(page);
  // The model's own template around the words: no sign of a picture.
  const strip = page.getByRole("group", { name: "The prompt, token by token" });
  const tokens = strip.getByRole("button");
  await expect(tokens.first()).toBeVisible();
  const texts = await tokens.evaluateAll((all) => all.map((token) => token.getAttribute("aria-label")?.split(": ")[0]));
  expect(texts).toEqual(["<s>", "<user>", "is", "there", "a", "dog", "?", "<assistant>"]);
  await strip.getByRole("button", { name: /^dog: / }).click();
  await expect(page.getByText(/^1 token chosen: \d+ features of \d+ fire more there/)).toBeVisible();
  await page.reload();
  await expect(tokens).toHaveCount(8, { timeout: 90_000 });

  // Two pictures of the catalogue, by a link alone; Back leads to the words.
  const fragment = (words: string) => page.evaluate((text) => (location.hash = text), words);
  await fragment(`mode=compare&picture=${one}&second=${two}&by=peak`);
  await expect(page.getByRole("region", { name: "On both", exact: true })).toBeVisible({ timeout: 90_000 });
  await expect(page.getByRole("radio", { name: "Strongest" })).toBeChecked();
  await expectNoGraveViolations(page);
  await page.goBack();
  await expect(tokens).toHaveCount(8);
  expect(told).toEqual([]);
});
