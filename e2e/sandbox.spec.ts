/** The sandbox as it is used: with one's own pictures, by keyboard, on a phone, behind others in the queue, by a long link. */
import { mkdtemp, open as openFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Page } from "@playwright/test";
import { routes } from "../lib/core/routes";
import { sharp } from "../lib/sharp";
import { type Catalogue, expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";

const runButton = (page: Page) => page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first();
const picture = (page: Page) => page.getByRole("region", { name: "Picture" });
const start = (catalogue: Catalogue) =>
  routes.steer({ dictionary: catalogue.dictionary.ref, feature: catalogue.card.index, image: catalogue.card.top[0]?.image });

async function answered(page: Page) {
  for (const name of [/^(Steered|Not steered)/, /^Baseline/]) {
    await expect(page.getByRole("region", { name }).getByText("Receipt").first()).toBeVisible({ timeout: 60_000 });
  }
}

/** A red left half beside a blue one. */
function halves(width: number, height: number) {
  const data = Buffer.from(
    Array.from({ length: width * height }, (_, i) => (i % width < width / 2 ? [220, 30, 30] : [30, 30, 220])).flat(),
  );
  return sharp(data, { raw: { width, height, channels: 3 } });
}

test.describe.configure({ mode: "default" });

test.beforeEach(({ catalogue }) => {
  expect(catalogue.dictionary.engine, "the demo's engine is part of what is tested").toBe("ready");
});

test("takes one's own pictures, whatever their shape, and runs on them", async ({ page, catalogue }) => {
  await open(page, start(catalogue));
  const choose = page.getByLabel("Upload a picture");
  const files = [
    { name: "turned.jpg", mimeType: "image/jpeg", buffer: await halves(40, 20).jpeg().withMetadata({ orientation: 6 }).toBuffer() },
    { name: "odd.png", mimeType: "image/png", buffer: await halves(37, 211).png().toBuffer() },
    { name: "dot.png", mimeType: "image/png", buffer: await halves(1, 1).png().toBuffer() },
    { name: "wide.webp", mimeType: "image/webp", buffer: await halves(300, 100).webp().toBuffer() },
    { name: "large.jpg", mimeType: "image/jpeg", buffer: await halves(3_000, 1_000).jpeg().toBuffer() },
    { name: "moving.gif", mimeType: "image/gif", buffer: await halves(20, 20).gif().toBuffer() },
  ];
  for (const file of files) {
    await choose.setInputFiles(file);
    await expect(picture(page)).toContainText(file.name);
    await page.keyboard.press("Control+Enter");
    await answered(page);
    await expect(page.getByRole("region", { name: /answer$/ }).first()).toContainText(
      /Changed \d+ of \d+ image positions|Nothing was changed/,
    );
  }
  await choose.setInputFiles(files[4] as (typeof files)[number]);
  await expect(picture(page)).toContainText("Reduced from 3000 × 1000 to 1536 × 512 pixels.");
  await choose.setInputFiles(files[5] as (typeof files)[number]);
  await expect(picture(page)).toContainText("Converted to PNG.");
});

test("shows a picture upright as the model is given it", async ({ page, catalogue }) => {
  await open(page, start(catalogue));
  const buffer = await halves(40, 20).jpeg().withMetadata({ orientation: 6 }).toBuffer();
  await page.getByLabel("Upload a picture").setInputFiles({ name: "turned.jpg", mimeType: "image/jpeg", buffer });
  const shown = picture(page).getByRole("img").first();
  await expect(shown).toHaveAttribute("alt", /turned\.jpg/);
  const size = await shown.evaluate((img: HTMLImageElement) => [img.naturalWidth, img.naturalHeight]);
  expect(size).toEqual([20, 40]);
});

test("says what is wrong with a file, and keeps the picture that was there", async ({ page, catalogue }) => {
  await open(page, start(catalogue));
  const choose = page.getByLabel("Upload a picture");
  const before = await picture(page).getByRole("img").first().getAttribute("src");
  const png = await halves(64, 64).png().toBuffer();
  await choose.setInputFiles({ name: "cut.png", mimeType: "image/png", buffer: png.subarray(0, 40) });
  await expect(picture(page)).toContainText(/“cut\.png” cannot be read as a picture here.*Convert it to PNG/);
  await choose.setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
  await expect(picture(page)).toContainText("“notes.txt” is not a picture.");
  const folder = await mkdtemp(path.join(tmpdir(), "facet-"));
  const huge = path.join(folder, "huge.png");
  const file = await openFile(huge, "w");
  await file.truncate(61 * 1024 * 1024);
  await file.close();
  await choose.setInputFiles(huge);
  await expect(picture(page)).toContainText("“huge.png” is 61 MB; pictures up to 60 MB can be read. Choose a smaller picture.");
  await rm(folder, { recursive: true });
  await expect(picture(page).getByRole("img").first()).toHaveAttribute("src", before ?? "");
});

test("can be used by keyboard alone", async ({ page, catalogue }) => {
  await open(page, routes.steer({ dictionary: catalogue.dictionary.ref, image: catalogue.card.top[0]?.image }));
  const box = page.getByRole("combobox", { name: "Add a feature to clamp" });
  for (let i = 0; i < 60 && !(await box.evaluate((element) => element === document.activeElement)); i++) await page.keyboard.press("Tab");
  await expect(box).toBeFocused();
  await page.keyboard.type(`#${catalogue.card.index}`);
  await expect(page.getByRole("option")).toHaveCount(1);
  await page.keyboard.press("Enter");
  const slider = page.getByRole("slider", { name: /^Strength of/ });
  await expect(slider).toBeVisible();
  await expect(box).toBeFocused();
  for (let i = 0; i < 30 && !(await slider.evaluate((element) => element === document.activeElement)); i++)
    await page.keyboard.press("Tab");
  await expect(slider).toBeFocused();
  const value = Number(await slider.getAttribute("aria-valuenow"));
  await page.keyboard.press("PageUp");
  await expect(slider).toHaveAttribute("aria-valuenow", String(value + 1));
  await page.keyboard.press("Control+Enter");
  await answered(page);
  // A run takes the focus away from nobody, and what came of it is said.
  await expect(slider).toBeFocused();
  await expect(page.getByRole("status").filter({ hasText: /^Done/ })).toHaveCount(1);
});

test.describe("at a phone's width", () => {
  test.use({ viewport: { width: 390, height: 844 } });
  test("goes by steps, and Run leads to the answers", async ({ page, catalogue }) => {
    await open(page, start(catalogue));
    const step = (name: RegExp) => page.getByRole("navigation", { name: "Steps" }).getByRole("button", { name });
    await expect(step(/Input/)).toHaveAttribute("aria-current", "step");
    await expect(page.getByRole("textbox", { name: "Question" })).toBeVisible();
    await expect(page.getByRole("combobox", { name: "Add a feature to clamp" })).toBeHidden();
    await step(/Clamps \(1\)/).click();
    await expect(page.getByRole("combobox", { name: "Add a feature to clamp" })).toBeVisible();
    await expectNoSidewaysScrolling(page);
    await runButton(page).click();
    await expect(step(/Answers/)).toHaveAttribute("aria-current", "step");
    await answered(page);
    await expectNoSidewaysScrolling(page);
    await expectNoGraveViolations(page);
    // Whichever step is shown, what came of the run is said.
    await step(/Input/).click();
    await expect(page.getByRole("status").filter({ hasText: /^Done/ })).toHaveCount(1);
  });

  test("leads to what keeps a request from being run, and says it aloud", async ({ page, catalogue }) => {
    await open(page, start(catalogue));
    await page.getByRole("button", { name: "Remove the picture" }).click();
    await page
      .getByRole("navigation", { name: "Steps" })
      .getByRole("button", { name: /Clamps/ })
      .click();
    await page.getByRole("button", { name: "Image", exact: true }).click();
    await runButton(page).click();
    await expect(page.getByRole("status").filter({ hasText: /^Not run:.*there is none/ })).toHaveCount(1);
  });
});

test("shows the place in the queue live, behind others", async ({ page, catalogue }) => {
  await open(page, start(catalogue));
  const leaving = new AbortController();
  // Long answers, of which the engine makes one at a time.
  const body = JSON.stringify({
    dictionary: catalogue.dictionary.ref,
    messages: [{ role: "user", content: [{ type: "text", text: "what do you see ?" }] }],
    sampling: { temperature: 5, maxTokens: 256 },
    controls: ["baseline", "reconstruction"],
  });
  const url = new URL(routes.api.steer(), page.url());
  const others = Array.from({ length: 6 }, () =>
    fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body, signal: leaving.signal }).then(
      (response) => response.body,
    ),
  );
  // Each that has begun to answer has its place; nobody reads on, and still the line moves.
  await Promise.all(others);
  await runButton(page).click();
  await expect(page.getByText(/^(In the queue: \d requests? ahead|Next in the queue)\. It starts by itself/)).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: /in the queue/i })).not.toHaveCount(0);
  await answered(page);
  leaving.abort();
});

test("keeps a request too long for a server in the address, and opens it elsewhere", async ({ page, context, catalogue }) => {
  await open(page, start(catalogue));
  const text = "is there a lemon in the picture ? ".repeat(200);
  await page.getByRole("textbox", { name: "Question" }).fill(text);
  await expect.poll(() => page.evaluate(() => location.hash.length)).toBeGreaterThan(6_800);
  const other = await context.newPage();
  await open(other, page.url());
  await expect(other.getByRole("textbox", { name: "Question" })).toHaveValue(text);
  await expect(other.getByRole("slider", { name: /^Strength of/ })).toBeVisible();
  await other.close();
  // Back and forward between a short and a long one.
  await page.getByRole("button", { name: "Everywhere" }).click();
  await expect.poll(() => page.evaluate(() => history.length)).toBeGreaterThan(1);
  await page.goBack();
  await expect(page.getByRole("button", { name: "Everywhere" })).toHaveAttribute("aria-pressed", "false");
  await expect(page.getByRole("textbox", { name: "Question" })).toHaveValue(text);
});

test.describe("POST /api/analyse", () => {
  test("finds the features of a picture, of the catalogue or not, and refuses with a sentence what it cannot read", async ({
    request,
    catalogue,
  }) => {
    const ask = (image: object, limit = 8) =>
      request.post(routes.api.analyse(), { data: { dictionary: catalogue.dictionary.ref, image, limit } });
    const known = await ask({ sha256: catalogue.card.top[0]?.image });
    expect(known.status()).toBe(200);
    const { source, rows, cols, features, total } = await known.json();
    expect([source, rows, cols]).toEqual(["engine", catalogue.dictionary.model.grid?.rows, catalogue.dictionary.model.grid?.cols]);
    expect(features).toHaveLength(8);
    expect(total).toBeGreaterThan(8);
    const whole = await (await ask({ sha256: catalogue.card.top[0]?.image }, 512)).json();
    const found = whole.features.find(({ index }: { index: number }) => index === catalogue.card.index);
    expect(found.label, "the feature fires on its own best picture").toBe(catalogue.card.label);
    for (const [width, height] of [
      [1, 1],
      [300, 100],
      [37, 211],
    ] as const) {
      const png = await halves(width, height).png().toBuffer();
      expect((await ask({ dataUrl: `data:image/png;base64,${png.toString("base64")}` })).status()).toBe(200);
    }
    const cut = (await halves(64, 64).png().toBuffer()).subarray(0, 60);
    const broken = await ask({ dataUrl: `data:image/png;base64,${cut.toString("base64")}` });
    expect([broken.status(), (await broken.json()).error.code]).toEqual([422, "unreadable_image"]);
    const absent = await ask({ sha256: "0".repeat(64) });
    expect([absent.status(), (await absent.json()).error.code]).toEqual([404, "image_not_found"]);
    const svg = await ask({ dataUrl: `data:image/svg+xml;base64,${Buffer.from("<svg/>").toString("base64")}` });
    expect([svg.status(), (await svg.json()).error.code]).toEqual([415, "unsupported_image"]);
  });
});
