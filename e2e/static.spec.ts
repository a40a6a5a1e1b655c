/** A copy of the catalogue as files alone (docs/static.md): written by its command, and used in a browser over a server of files. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Page } from "@playwright/test";
import { guardedEnv } from "../cli/setup/guard.mjs";
import { inRoot, root } from "../cli/setup/paths.mjs";
import type { Experiment } from "../lib/core/experiment";
import { formatIndex } from "../lib/core/format";
import type { Analysis, FeaturePage } from "../lib/core/records";
import { coverage, decodeRegion } from "../lib/core/region";
import { rankByContrast } from "../lib/core/region-contrast";
import { routes } from "../lib/core/routes";
import { decodeMap, toDense } from "../lib/core/sparse-map";
import { type FilesServer, serveFiles } from "./files-server";
import { test as base, drawnShare, expect, expectNoGraveViolations, expectNoSidewaysScrolling, hydrated, open } from "./site";

const ownPicture = path.join(path.dirname(fileURLToPath(import.meta.url)), "fixtures", "pictures", "odd.png");

/** Not at the host's root: an address that forgets where the copy lies is missed. */
const under = "/some/path";

/** Writes the copy, once a run: a worker that follows one whose test failed finds it. Answers with its folder. */
async function exported(): Promise<string> {
  const data = inRoot(".facet", "e2e-static");
  const folder = path.join(data, "copy");
  const mark = path.join(data, "of-run");
  const run = `${process.ppid} ${process.env.FACET_E2E_PORT}`;
  if ((await readFile(mark, "utf8").catch(() => "")) === run) return folder;
  // The catalogue that the server holds open is its own.
  const env = { ...process.env, FACET_DATA_DIR: data, DATABASE_URL: "", FACET_EMBEDDINGS_URL: "", FACET_WORKER_URL: "", ...guardedEnv };
  const command = [inRoot("cli", "export-static.mjs"), "--base", under, "--out", folder];
  await promisify(execFile)(process.execPath, command, { cwd: root, env });
  await writeFile(mark, run);
  return folder;
}

interface Server {
  origin: string;
  ask<T>(url: string, data?: unknown): Promise<T>;
}

/** The server that the other tests ask is asked here for what is right; pages are the copy's. */
const test = base.extend<{ server: Server }, { copy: FilesServer }>({
  copy: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's needs from this pattern.
    async ({}, use) => {
      const server = await serveFiles(await exported(), under);
      await use(server);
      await server.close();
    },
    { scope: "worker", timeout: 600_000 },
  ],
  server: async ({ playwright }, use, info) => {
    const origin = info.project.use.baseURL ?? "";
    const request = await playwright.request.newContext({ baseURL: origin });
    await use({
      origin,
      ask: async (url, data) => {
        const answer = await (data === undefined ? request.get(url) : request.post(url, { data }));
        expect(answer.status(), url).toBe(200);
        return answer.json();
      },
    });
    await request.dispose();
  },
  // Without a copy the test has failed already.
  baseURL: ({ copy }, use) => use(copy?.address),
});
test.describe.configure({ mode: "default" });

/** A page of the copy: relative, so that it lies where the copy does. */
const at = (page: string, values: Record<string, string | number> = {}) =>
  `${page}?${new URLSearchParams(Object.entries(values).map(([key, value]) => [key, String(value)]))}`;

const list = (page: Page) => page.getByRole("region", { name: "Features", exact: true });
const cards = (page: Page) => list(page).locator("a[data-feature]");
const count = (page: Page) => list(page).locator("p[aria-live=polite]").first();
const firstCards = (page: Page, n: number) =>
  cards(page).evaluateAll((links, n) => links.slice(0, n).map((link) => Number(link.getAttribute("data-feature"))), n);
const indices = ({ items }: FeaturePage, n: number) => items.slice(0, n).map(({ index }) => index);
const bars = (page: Page) => page.getByRole("list", { name: "Features by contribution" }).locator("> li");

test.afterEach(({ copy }) => {
  expect(copy.missed, "asked for, and no file of the copy").toEqual([]);
  expect(copy.written, "a copy is only read").toEqual([]);
});

test("lists, filters, search, features, pictures and experiments of a copy are the server's", async ({ page, server, catalogue }) => {
  test.setTimeout(240_000);
  const { dictionary, card } = catalogue;
  const wanted = (query: Record<string, string | number>) =>
    server.ask<FeaturePage>(routes.api.features({ dictionary: dictionary.ref, limit: 100, ...query }));

  await open(page, at("."));
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.getByText(dictionary.id).first()).toBeVisible();
  await expectNoGraveViolations(page);

  // A list by its address, then a filter by hand, then words.
  await open(page, at("list/", { dictionary: dictionary.ref, sort: "-iou", concept: "object" }));
  const objects = await wanted({ sort: "-iou", concept: "object" });
  await expect.poll(() => firstCards(page, 8)).toEqual(indices(objects, 8));
  await expect(count(page)).toContainText(objects.total.toLocaleString("en"));
  await page
    .getByRole("complementary", { name: "Filters" })
    .getByRole("button", { name: /^Detection.*\d/ })
    .click();
  await expect(page).toHaveURL(/scored_by=detection/);
  const scored = await wanted({ sort: "-iou", concept: "object", scored_by: "detection" });
  expect(scored.total).toBeLessThan(objects.total);
  await expect(count(page)).toContainText(scored.total.toLocaleString("en"));
  await expect.poll(() => firstCards(page, 8)).toEqual(indices(scored, 8));
  await page.getByRole("button", { name: "Remove the filter Scored by detection" }).click();
  await expect(count(page)).toContainText(objects.total.toLocaleString("en"));

  const word = card.label?.split(" ").at(-1) ?? "";
  await page.getByRole("banner").getByRole("searchbox", { name: "Search features" }).pressSequentially(word, { delay: 30 });
  await expect(count(page)).toContainText(`match “${word}”`);
  // What the server finds by meaning is not found here.
  const found = (await wanted({ sort: "-iou", concept: "object", q: word })).items.filter(({ match }) => match?.kind === "words");
  expect(found.length).toBeGreaterThan(0);
  await expect.poll(() => firstCards(page, 3)).toEqual(found.slice(0, 3).map(({ index }) => index));

  await cards(page).first().click();
  await expect(page).toHaveURL(/\/some\/path\/feature\/\?/);
  await expect(page.getByRole("heading", { level: 1 })).toContainText(found[0]?.label ?? "");
  await expect.poll(() => drawnShare(page, 'section[aria-label="Examples"] [role=slider] canvas')).toBeGreaterThan(0.005);
  await expectNoGraveViolations(page);

  // Its picture: the bytes are drawn, all stored examples are listed, and a row that is pressed shows its heat.
  await open(page, at("feature/", { dictionary: dictionary.ref, index: card.index }));
  await page.getByRole("link", { name: "What else fires on this picture" }).click();
  await expect(page).toHaveURL(new RegExp(`/some/path/image/\\?.*${card.top[0]?.image}`));
  const picture = page.locator("main [role=slider] img");
  await expect.poll(() => picture.evaluate((img: HTMLImageElement) => img.complete && img.naturalWidth)).toBeGreaterThan(0);
  await expect(page.getByText(/^\d+ features? with stored examples on it/)).toBeVisible();
  const own = page.getByRole("link", { name: new RegExp(`^Open feature ${formatIndex(card.index, dictionary.numLatents)},`) });
  const row = page.getByRole("listitem").filter({ has: own }).locator("[data-row]");
  if ((await row.getAttribute("aria-pressed")) !== "true") await row.click();
  await expect(row).toHaveAttribute("aria-pressed", "true");
  await expect.poll(() => drawnShare(page, "main [role=slider] canvas")).toBeGreaterThan(0.005);
  await expectNoGraveViolations(page);

  // A saved experiment, as the server has it.
  await open(page, at("x/"));
  const saved = page.locator('main a[href*="/experiment/?id="]').first();
  await saved.click();
  await expect(page).toHaveURL(/\/some\/path\/experiment\/\?id=/);
  const experiment = await server.ask<Experiment>(routes.api.experiment(new URL(page.url()).searchParams.get("id") ?? ""));
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(experiment.title);
  await expect(page.getByRole("region", { name: "Steered answer" })).toBeVisible();
  await expect(page.getByText("This is a read-only copy", { exact: false })).toBeVisible();
  await expectNoGraveViolations(page);

  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, at("feature/", { dictionary: dictionary.ref, index: card.index }));
  await expect(page.getByRole("heading", { level: 1 })).toContainText(card.label ?? "");
  await expectNoSidewaysScrolling(page);
});

test("in a copy the model runs in the tab: its answers, their trace, a painted region and one's own picture are the server's", async ({
  page,
  browser,
  server,
  catalogue,
}) => {
  test.setTimeout(300_000);
  const { dictionary, card } = catalogue;
  const image = card.top[0]?.image ?? "";
  const about = { dictionary: dictionary.ref, feature: card.index, image };

  /** Steers, asks why the steered answer's first word was said, and tells what both are. */
  const told = async (asked: Page) => {
    await asked.getByRole("main").getByRole("button", { name: "Run", exact: true }).first().click();
    const answers: string[] = [];
    for (const name of ["Steered", "Baseline"]) {
      const region = asked.getByRole("region", { name: `${name} answer` });
      await expect(region.getByText("Receipt").first()).toBeVisible({ timeout: 90_000 });
      answers.push((await region.getByRole("toolbar").getByRole("button").allInnerTexts()).join("|"));
    }
    await asked.getByRole("region", { name: "Steered answer" }).getByRole("toolbar").getByRole("button").first().focus();
    await asked
      .getByRole("dialog", { name: /^Token/ })
      .getByRole("link", { name: "Why this word?" })
      .press("Enter");
    await expect(asked.getByText("Estimate and measurement agree")).toBeVisible({ timeout: 90_000 });
    const features = await bars(asked).evaluateAll((rows) => rows.slice(0, 5).map((row) => row.getAttribute("data-feature")));
    return { answers, features };
  };
  const beside = await browser.newPage({ baseURL: server.origin });
  await open(beside, routes.steer(about));
  const wanted = await told(beside);
  await beside.close();
  expect(wanted.answers.every((answer) => answer !== "")).toBe(true);
  expect(wanted.features).toHaveLength(5);

  await open(page, at("steer/", about));
  expect(await told(page)).toEqual(wanted);
  await expect(page).toHaveURL(/\/some\/path\/trace\/\?.*token=0.*#r=1\./);
  await expect.poll(() => drawnShare(page, "main aside canvas")).toBeGreaterThan(0);

  // A region of a catalogue picture: what the model finds in this tab, and where else it is.
  await open(page, at("image/", { sha256: image, dictionary: dictionary.ref }));
  await page.getByRole("button", { name: "Paint a region" }).click();
  await page.getByRole("radio", { name: /^Box/ }).click();
  const box = await page.locator("[data-surface]").boundingBox();
  if (!box) throw new Error("The picture is not on screen.");
  await page.mouse.move(box.x + box.width * 0.25, box.y + box.height * 0.25);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + box.height * 0.75, { steps: 4 });
  await page.mouse.up();
  await expect(page).toHaveURL(/region=12x12\./);
  await page.getByRole("button", { name: "Find all that fires, in this tab" }).click();
  await expect(page.getByText("The list holds only", { exact: false })).toHaveCount(0, { timeout: 90_000 });
  const region = decodeRegion(new URL(page.url()).searchParams.get("region") ?? "");
  if (!region) throw new Error("The address has no region.");
  const seen = await server.ask<Analysis>(routes.api.analyse(), { dictionary: dictionary.ref, image: { sha256: image }, limit: 512 });
  const dense = seen.features.map(({ index, label, map }) => ({ index, label, dense: toDense(decodeMap(map), 12, 12) }));
  const best = rankByContrast(dense, coverage(region)).slice(0, 3);
  for (const [i, { feature }] of best.entries()) {
    const listed = page.locator("[data-contrast-list]").getByRole("listitem").nth(i);
    const name = new RegExp(`^Open feature ${formatIndex(feature.index, dictionary.numLatents)},`);
    await expect(listed.getByRole("link", { name })).toBeVisible();
  }
  await page.getByRole("button", { name: /^Find pictures with these 5 features there/ }).click();
  const other = page.getByRole("link", { name: /of 5 features/ }).first();
  await expect(other).toBeVisible();
  expect(await other.getAttribute("href")).not.toContain(image);
  await expectNoGraveViolations(page);
  await other.click();
  await expect(page).not.toHaveURL(new RegExp(`sha256=${image}`));
  await hydrated(page);

  // One's own picture; a host that sends no headers has one thread, and the page says why.
  await open(page, at("try/", { dictionary: dictionary.ref }));
  await page.locator("main input[type=file]").setInputFiles(ownPicture);
  await expect(page.locator("[data-row]").first()).toBeVisible({ timeout: 90_000 });
  const dataUrl = `data:image/png;base64,${readFileSync(ownPicture).toString("base64")}`;
  const { total } = await server.ask<Analysis>(routes.api.analyse(), { dictionary: dictionary.ref, image: { dataUrl }, limit: 1 });
  await expect(page.getByText(`${total} features fire`)).toBeVisible();
  const panel = page.getByRole("region", { name: "The model in this tab" });
  await expect(panel).toContainText("Runs here, on one thread.");
  await expect(panel).toContainText("The page is not isolated from other origins");
});
