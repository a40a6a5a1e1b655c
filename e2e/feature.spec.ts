import type { Page } from "@playwright/test";
import { formatActivation } from "../lib/core/format";
import { type FeatureDetail, type FeaturePage, imageInfoSchema } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { decodeMap, toDense } from "../lib/core/sparse-map";
import { sharp } from "../lib/sharp";
import { drawnShare, expect, open, test } from "./site";

/** The large picture: a grid of cells that can be read. */
const picture = (page: Page) =>
  page.getByRole("region", { name: "Examples" }).getByRole("slider", { name: /Arrow keys move over its cells/ });
const canvas = 'section[aria-label="Examples"] [role=slider] canvas';

test("shows its label, where it fires, and how its explanation was scored", async ({ page, catalogue }) => {
  const { dictionary, feature } = catalogue;
  await open(page, routes.feature(dictionary.ref, feature.feature.index));
  await expect(page.getByRole("heading", { level: 1 })).toContainText(feature.feature.label ?? "");
  for (const name of ["Explanations", "Activations", "Numbers", "Tokens", "Nearest features", "Actions"]) {
    await expect(page.getByRole("heading", { name, level: 2 })).toBeVisible();
  }
  const explanations = page.getByRole("region", { name: "Explanations" });
  const preferred = feature.explanations.find((explanation) => explanation.preferred) ?? feature.explanations[0];
  if (preferred?.text) await expect(explanations).toContainText(preferred.text);
  const score = preferred?.scores.find(({ value }) => value !== null);
  if (score) await expect(explanations).toContainText(String(score.n));
});

test("draws its heat in the browser, and takes it away", async ({ page, catalogue, request }) => {
  const { dictionary, feature } = catalogue;
  await open(page, routes.feature(dictionary.ref, feature.feature.index));
  const stored = imageInfoSchema.parse(await (await request.get(routes.api.imageInfo(feature.examples.top?.[0]?.image ?? ""))).json());
  await expect
    .poll(() =>
      picture(page)
        .locator("img")
        .evaluate((image) => (image as HTMLImageElement).naturalWidth),
    )
    .toBe(stored.width);
  await expect.poll(() => drawnShare(page, canvas)).toBeGreaterThan(0.005);
  // Heat is where the feature fires: the strongest cell is drawn, a silent one is not.
  const example = feature.examples.top?.[0];
  if (!example) throw new Error("The feature under test has no top picture.");
  const dense = toDense(decodeMap(example.map), example.rows, example.cols);
  const peak = dense.indexOf(Math.max(...dense));
  const alphaAt = (cell: number) =>
    page.locator(canvas).evaluate(
      (element, [x, y]) => {
        const target = element as HTMLCanvasElement;
        return target.getContext("2d")?.getImageData(Math.floor(x * target.width), Math.floor(y * target.height), 1, 1).data[3] ?? -1;
      },
      [((cell % example.cols) + 0.5) / example.cols, (Math.floor(cell / example.cols) + 0.5) / example.rows] as const,
    );
  expect(await alphaAt(peak)).toBeGreaterThan(100);
  const far = [...dense.keys()].find((cell) => {
    const row = Math.floor(cell / example.cols);
    const column = cell % example.cols;
    return [-1, 0, 1].every((dy) =>
      [-1, 0, 1].every((dx) => {
        const r = row + dy;
        const c = column + dx;
        return r < 0 || c < 0 || r >= example.rows || c >= example.cols || dense[r * example.cols + c] === 0;
      }),
    );
  });
  if (far !== undefined) expect(await alphaAt(far)).toBe(0);

  await page.getByRole("switch", { name: "Heat" }).click();
  await expect(page.locator(canvas)).toHaveCSS("opacity", "0");
  await expect(page).toHaveURL(/heat=off/);
  await page.reload();
  await expect(page.locator(canvas)).toHaveCSS("opacity", "0");
});

test("a cell under the pointer shows its value, the same that is stored", async ({ page, catalogue }) => {
  const { dictionary, feature } = catalogue;
  const example = feature.examples.top?.[0];
  if (!example) throw new Error("The feature under test has no top picture.");
  const dense = toDense(decodeMap(example.map), example.rows, example.cols);
  const peak = dense.indexOf(Math.max(...dense));
  await open(page, routes.feature(dictionary.ref, feature.feature.index));
  const box = await picture(page).locator("img").boundingBox();
  if (!box) throw new Error("The picture is not on screen.");
  const column = peak % example.cols;
  const row = Math.floor(peak / example.cols);
  await page.mouse.move(box.x + ((column + 0.5) / example.cols) * box.width, box.y + ((row + 0.5) / example.rows) * box.height);
  const reading = page.getByRole("region", { name: "Examples" }).locator("dl");
  await expect(reading).toContainText(`Row${row + 1} of ${example.rows}`);
  await expect(reading).toContainText(`Cell${formatActivation(dense[peak])}`);
  await expect(picture(page)).toHaveAttribute("aria-valuetext", new RegExp(`row ${row + 1}, column ${column + 1}`));

  // The same cell on every other picture of the band, with its value there.
  const strip = page.getByRole("listbox").getByRole("option");
  const values = feature.examples.top?.map(({ map, rows, cols }) => formatActivation(toDense(decodeMap(map), rows, cols)[peak]));
  await expect(strip).toHaveText(values ?? []);
  expect(await page.getByRole("listbox").locator("span.outline").count()).toBe(values?.length);

  // The same by keyboard.
  await page.mouse.move(2, 2);
  await picture(page).focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("Home");
  await expect(picture(page)).toHaveAttribute("aria-valuetext", /column 1,/);
});

test("bands are tabs, pictures step by arrow key, and the address keeps both", async ({ page, catalogue }) => {
  const { dictionary, feature } = catalogue;
  await open(page, routes.feature(dictionary.ref, feature.feature.index));
  const tabs = page.getByRole("region", { name: "Examples" }).getByRole("tab", { disabled: false });
  const source = () => picture(page).locator("img").getAttribute("src");
  const first = await source();
  await page.locator("body").press("ArrowRight");
  await expect.poll(source).not.toBe(first);
  await expect(page).toHaveURL(/image=/);
  await page.locator("body").press("ArrowLeft");
  await expect.poll(source).toBe(first);

  expect(await tabs.count()).toBeGreaterThan(1);
  await tabs.nth(1).click();
  await expect(tabs.nth(1)).toHaveAttribute("aria-selected", "true");
  await expect(page).toHaveURL(/band=/);
  await page.reload();
  await expect(tabs.nth(1)).toHaveAttribute("aria-selected", "true");
});

test("text examples are tinted where it fires, each token with its value", async ({ page, catalogue, request }) => {
  const { dictionary } = catalogue;
  // A feature that fires on words: the best by text density has examples.
  const query = { dictionary: dictionary.ref, sort: "-text_density", always_on: 0, limit: 1 };
  const { items } = (await (await request.get(routes.api.features(query))).json()) as FeaturePage;
  const record = (await (await request.get(routes.api.feature(dictionary.ref, items[0]?.index ?? 0))).json()) as FeatureDetail;
  const [text] = record.texts;
  if (!text) throw new Error("The feature that fires most on words has no text example.");
  await open(page, routes.feature(dictionary.ref, record.feature.index, { band: "text" }));
  const panel = page.getByRole("tabpanel", { name: /^Text/ });
  await expect(panel.getByRole("listitem")).toHaveCount(record.texts.length);
  const tokens = panel.getByRole("listitem").first().getByRole("button");
  const dense = [...toDense(decodeMap(text.map), 1, text.tokens.length)];
  const active = dense.map((value, place) => ({ value, token: text.tokens[place] ?? "" })).filter(({ value }) => value > 0);
  await expect(tokens).toHaveCount(active.length);
  await expect(tokens.first()).toHaveAccessibleName(new RegExp(`activation ${formatActivation(active[0]?.value)}$`));
  await expect(tokens.first()).not.toHaveCSS("background-color", "rgba(0, 0, 0, 0)");
  await tokens.first().hover();
  await expect(panel.getByRole("figure")).toContainText(formatActivation(active[0]?.value));
});

test("numbers say where it fires, how strongly and on what; its picture is marked in the histogram", async ({ page, catalogue }) => {
  const { dictionary, feature } = catalogue;
  await open(page, routes.feature(dictionary.ref, feature.feature.index));
  const numbers = page.getByRole("region", { name: "Numbers" });
  for (const term of ["Density", "Fires", "Image or text", "Maximum", "Health"]) await expect(numbers).toContainText(term);
  const histogram = page.getByRole("region", { name: "Activations" });
  await expect(histogram.getByRole("img", { name: /^Histogram of [\d,]+ activations from 0 to/ })).toBeVisible();
  await expect(histogram).toContainText(`This picture's peak ${formatActivation(feature.examples.top?.[0]?.peak)}`);
  const writes = page.getByRole("list", { name: "Tokens it writes" }).getByRole("listitem");
  await expect(writes.first()).toContainText(feature.tokens.writes[0]?.token.trim() ?? "");
});

test("opens the sandbox with itself and its picture", async ({ page, catalogue }) => {
  const { dictionary, feature } = catalogue;
  await open(page, routes.feature(dictionary.ref, feature.feature.index));
  const href = (await page.getByRole("link", { name: "Steer this" }).getAttribute("href")) ?? "";
  const asked = new URL(href, "http://localhost").searchParams;
  expect(Object.fromEntries(asked)).toEqual({
    dictionary: dictionary.ref,
    feature: String(feature.feature.index),
    image: feature.examples.top?.[0]?.image,
  });
  await page.getByRole("link", { name: "Steer this" }).click();
  await expect(page).toHaveURL(/\/steer\?/);
  await expect(page.getByRole("main")).toContainText(feature.feature.label ?? "");
});

for (const [name, width, height] of [
  ["a wide", 300, 100],
  ["a tall", 90, 270],
  ["a one-pixel", 1, 1],
] as const) {
  test(`${name} picture is fitted, not stretched, and its cells are read where they lie`, async ({ page, catalogue }) => {
    const { dictionary, feature } = catalogue;
    const example = feature.examples.top?.[0];
    if (!example) throw new Error("The feature under test has no top picture.");
    const body = await sharp({ create: { width, height, channels: 3, background: "#4488cc" } })
      .png()
      .toBuffer();
    await page.route(`**${routes.api.image(example.image)}`, (route) => route.fulfill({ body, contentType: "image/png" }));
    await open(page, routes.feature(dictionary.ref, feature.feature.index));
    const image = picture(page).locator("img");
    await expect.poll(() => image.evaluate((element) => (element as HTMLImageElement).naturalWidth)).toBe(width);
    const frame = await picture(page).boundingBox();
    const box = await image.boundingBox();
    const heat = await page.locator(canvas).boundingBox();
    if (!frame || !box) throw new Error("The picture is not on screen.");
    expect(box.width / box.height).toBeCloseTo(width / height, 1);
    expect(frame.width / frame.height).toBeCloseTo(1, 1);
    expect(heat).toEqual(box);
    expect([box.x >= frame.x - 1, box.y >= frame.y - 1, box.width <= frame.width + 1, box.height <= frame.height + 1]).not.toContain(false);
    const reading = page.getByRole("region", { name: "Examples" }).locator("dl");
    for (const [row, column] of [
      [0, 0],
      [example.rows - 1, example.cols - 1],
    ] as const) {
      await page.mouse.move(box.x + ((column + 0.5) / example.cols) * box.width, box.y + ((row + 0.5) / example.rows) * box.height);
      await expect(reading).toContainText(`Row${row + 1} of ${example.rows}`);
      await expect(reading).toContainText(`Column${column + 1} of ${example.cols}`);
    }
  });
}

test("is shared by a link, a pinned link and as JSON", async ({ page, catalogue, request }) => {
  const { dictionary, feature } = catalogue;
  const { index } = feature.feature;
  await open(page, routes.feature(dictionary.ref, index, { from: "sort=-iou" }));
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole("button", { name: "Copy link" }).click();
  await expect.poll(copied).toContain(routes.feature(dictionary.ref, index));
  expect(await copied()).not.toContain("from=");
  await page.getByRole("button", { name: "Copy pinned link" }).click();
  const version = dictionary.sha256.slice(0, 12);
  await expect.poll(copied).toContain(`v=${version}`);

  await page.goto(await copied());
  await expect(page.getByRole("heading", { level: 1 })).toContainText(feature.feature.label ?? "");
  const json = await page.getByRole("link", { name: "JSON" }).getAttribute("href");
  const record = await (await request.get(json ?? "")).json();
  expect(record).toEqual(feature);
});

test.describe("a link to another version", () => {
  test.use({ expectedErrors: [/409|404/] });
  test("says so in place of showing something else", async ({ page, catalogue }) => {
    const { dictionary, feature } = catalogue;
    await open(page, routes.feature(dictionary.ref, feature.feature.index, { v: "0123456789ab" }));
    await expect(page.getByRole("main")).toContainText(/version/i);
    await expect(page.getByRole("main")).toContainText("0123456789ab");
    await page
      .getByRole("main")
      .getByRole("link", { name: /unpinned|present|current|this feature|here/i })
      .first()
      .click();
    await expect(page.getByRole("heading", { level: 1 })).toContainText(feature.feature.label ?? "");
  });
});

test("previous and next follow the list one came from", async ({ page, catalogue, request }) => {
  const { dictionary } = catalogue;
  const { items } = (await (
    await request.get(routes.api.features({ dictionary: dictionary.ref, sort: "-density", limit: 3 }))
  ).json()) as FeaturePage;
  const [first, second, third] = items.map(({ index }) => index);
  await open(page, routes.dictionary(dictionary.ref, { sort: "-density" }));
  await page.locator(`a[data-feature="${first}"]`).click();
  const at = (index: number | undefined) => expect(page).toHaveURL(new RegExp(`/${index}\\?`));
  await at(first);
  await page.getByRole("navigation", { name: "In the list" }).getByRole("link", { name: "Next feature" }).click();
  await at(second);
  await expect(page.getByRole("navigation", { name: "In the list" })).toBeVisible();
  await page.keyboard.press("j");
  await at(third);
  await page.keyboard.press("k");
  await at(second);
});

test("without a list one came from, next is the next of the whole list in its usual order", async ({ page, catalogue, request }) => {
  const { dictionary } = catalogue;
  const { items } = (await (await request.get(routes.api.features({ dictionary: dictionary.ref, limit: 3 }))).json()) as FeaturePage;
  const [first, second, third] = items.map(({ index }) => index);
  await open(page, routes.feature(dictionary.ref, second ?? 0));
  const list = page.getByRole("navigation", { name: "In the list" });
  await expect(list).toContainText("by steering effect");
  expect(await list.getByRole("link", { name: "Previous feature" }).getAttribute("href")).toBe(routes.feature(dictionary.ref, first ?? 0));
  expect(await list.getByRole("link", { name: "Next feature" }).getAttribute("href")).toBe(routes.feature(dictionary.ref, third ?? 0));
});

test("nearest features lead on", async ({ page, catalogue }) => {
  const { dictionary, feature } = catalogue;
  await open(page, routes.feature(dictionary.ref, feature.feature.index));
  const neighbours = page.getByRole("region", { name: "Nearest features" }).getByRole("link");
  const href = await neighbours.first().getAttribute("href");
  await neighbours.first().click();
  await expect(page).toHaveURL(new RegExp(`${href?.split("?")[0]}(\\?|$)`));
});
