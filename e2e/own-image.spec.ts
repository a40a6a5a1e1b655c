/** A picture and words of one's own in the visitor's tab: what is fetched and kept, what the model sees, what is sent (nothing), and that it finds what the server's does. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "@playwright/test";
import type { Analysis } from "../lib/core/records";
import { coverage, decodeRegion } from "../lib/core/region";
import { rankByContrast } from "../lib/core/region-contrast";
import { routes } from "../lib/core/routes";
import { decodeMap, toDense } from "../lib/core/sparse-map";
import { sharp } from "../lib/sharp";
import { drawnShare, expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";
import { panel, ready } from "./tab-panel";

test.describe.configure({ mode: "default" });

const pictures = path.join(path.dirname(fileURLToPath(import.meta.url)), "fixtures", "pictures");
const choose = (page: Page, files: string | { name: string; mimeType: string; buffer: Buffer }) =>
  page.locator("main input[type=file]").setInputFiles(files);

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
  await expect(panel(page)).toContainText("your picture and your words stay on this machine");
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

  // Those that fire nearly everywhere are folded away. A row that is looked at shows its heat on the picture.
  const folded = page.locator("details").filter({ hasText: "Always on" });
  await expect(folded).not.toHaveAttribute("open");
  await expect(folded.locator("[data-row]").first()).toBeHidden();
  const heat = () => drawnShare(page, "main [role=slider] canvas");
  expect(await heat()).toBe(0);
  await page.locator("[data-row]").first().focus();
  await expect.poll(heat).toBeGreaterThan(0.005);
  // A patch that is pointed at has its own list: what the server finds in that cell, by its activation there.
  const box = await page.locator("main [role=slider] img").boundingBox();
  if (!box) throw new Error("The picture is not on screen.");
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await expect(page.getByText(/^Row \d+, column \d+: by activation there/)).toBeVisible();
  const [, row, column] = /Row (\d+), column (\d+)/.exec((await page.getByText(/^Row \d+, column/).textContent()) ?? "") ?? [];
  const here = server.features
    .map(({ label, alwaysOn, sink, map }) => {
      const value = toDense(decodeMap(map), server.rows, server.cols)[(Number(row) - 1) * server.cols + Number(column) - 1] as number;
      return { label, value, everywhere: alwaysOn || sink };
    })
    .filter(({ value, everywhere }) => value > 0 && !everywhere);
  const strongest = here.toSorted((a, b) => b.value - a.value)[0];
  await expect(page.getByRole("region", { name: "In this cell" }).locator("[data-row]")).toHaveCount(here.length);
  await expect(page.getByRole("region", { name: "In this cell" }).locator("[data-row]").first()).toHaveAttribute(
    "aria-label",
    new RegExp(`^${(strongest?.label ?? "unexplained").replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}, `),
  );
  await page.mouse.move(0, 0);

  // Every way in which pictures are stored, as the Python processor squashes it. The model is here: from now on nothing at all is asked for.
  const after: string[] = [];
  page.on("request", (asked) => {
    if (!/^(blob|data):/.test(asked.url())) after.push(asked.url());
  });
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
  expect(after, "requests while pictures are looked at").toEqual([]);

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

test("a download that is tampered with or breaks off is refused in a sentence, a retry goes on, and a page that is not isolated runs on one thread and says so", async ({
  page,
  catalogue,
}) => {
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
  // As a proxy does that drops the headers.
  await page.route(`**${routes.ownImage()}*`, async (route) => {
    const answer = await route.fetch();
    const { "cross-origin-opener-policy": _opener, "cross-origin-embedder-policy": _embedder, ...headers } = answer.headers();
    await route.fulfill({ response: answer, headers });
  });
  await open(page, routes.ownImage({ dictionary: catalogue.dictionary.ref }));
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
  await panel(page).getByRole("button", { name: "Load the model" }).click();
  // Its first part was changed on its way, its second breaks off: a retry goes on behind the first, and finds the whole damaged.
  for (const said of ["The download of model.safetensors broke off.", "model.safetensors arrived damaged"]) {
    await expect(panel(page).getByRole("alert")).toContainText(said, { timeout: 60_000 });
    await panel(page).getByRole("button", { name: "Try again" }).click();
  }
  await ready(page);
  await expect(panel(page)).toContainText("Runs here, on one thread.");
  await expect(panel(page)).toContainText("The page is not isolated from other origins");
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

test("two pictures, a painted region and words: compared, ranked and read in the tab, and nothing of either is sent", async ({
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

  // A region of one's own picture, painted by a finger: what is inside and not outside, as the arithmetic has it.
  await page.getByRole("radio", { name: "Paint a region" }).click();
  await page.getByRole("radio", { name: /^Box/ }).click();
  const surface = await page.locator("[data-surface]").boundingBox();
  if (!surface) throw new Error("The picture is not on screen.");
  const finger = await page.context().newCDPSession(page);
  const touch = (type: "touchStart" | "touchMove" | "touchEnd", share: number) =>
    finger.send("Input.dispatchTouchEvent", {
      type,
      touchPoints: type === "touchEnd" ? [] : [{ x: surface.x + surface.width * share, y: surface.y + surface.height * share }],
    });
  await finger.send("Emulation.setTouchEmulationEnabled", { enabled: true });
  await touch("touchStart", 0.25);
  for (const share of [0.4, 0.6, 0.75]) await touch("touchMove", share);
  await touch("touchEnd", 0.75);
  await finger.send("Emulation.setTouchEmulationEnabled", { enabled: false });
  await expect(page).toHaveURL(/region=12x12\./);
  const region = decodeRegion(new URLSearchParams(new URL(page.url()).hash.slice(1)).get("region") ?? "");
  if (!region) throw new Error("The address has no region.");
  const cover = coverage(region);
  expect(cover.reduce((sum, share) => sum + share, 0)).toBeCloseTo(36, 0);
  const firings = (analyses[0] ?? []).map(({ map, ...feature }) => ({ ...feature, dense: toDense(decodeMap(map), 12, 12) }));
  const painted = page.locator("[data-contrast-list] [data-row]");
  for (const [i, { feature, contrast, inside, outside }] of rankByContrast(firings, cover).slice(0, 5).entries()) {
    const said = (await painted.nth(i).getAttribute("aria-label")) ?? "";
    expect(said.startsWith(`${feature.label ?? "unexplained"}, contrast `), `${said} where the server has ${feature.label}`).toBe(true);
    const found = [...said.matchAll(/ ([\d.]+)(?=,|$)/g)].slice(-3).map(([, value]) => Number(value));
    for (const [j, wanted] of [contrast, inside, outside].entries())
      expect(Math.abs((found[j] as number) - wanted)).toBeLessThanOrEqual(0.006 * Math.max(1, wanted));
  }
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(painted).toHaveCount(0);

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
