/** What every browser test stands on: a page that is watched for errors and foreign requests, and facts about the catalogue under test. */

import { existsSync, readFileSync } from "node:fs";
import { AxeBuilder } from "@axe-core/playwright";
import { type APIRequestContext, test as base, expect, type Page } from "@playwright/test";
import { guardLog } from "../cli/setup/guard.mjs";
import type { Dictionary, FeatureCard, FeatureDetail, FeaturePage } from "../lib/core/records";
import { routes } from "../lib/core/routes";

export interface Catalogue {
  dictionaries: Dictionary[];
  /** The dictionary that the tests open: the first whose model can be run here, else the first. */
  dictionary: Dictionary;
  /** A labelled object feature with pictures, the clearest by IoU. */
  feature: FeatureDetail;
  card: FeatureCard;
}

async function getJson<T>(request: APIRequestContext, url: string): Promise<T> {
  const answer = await request.get(url);
  expect(answer.status(), `${url}: ${answer.ok() ? "" : await answer.text()}`).toBe(200);
  return (await answer.json()) as T;
}

interface Options {
  /** Messages of the browser's console that the test brings about on purpose. */
  expectedErrors: RegExp[];
}

/** Records what a page must not do, for the whole of a test. */
function watch(page: Page, origin: string) {
  const seen: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") seen.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => seen.push(`error: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["data:", "blob:"].includes(url.protocol) && url.origin !== origin) seen.push(`foreign request: ${request.url()}`);
  });
  return seen;
}

/** What the server's guard has refused so far (cli/setup/guard.mjs): nothing, where no request leaves this machine. */
function refusedByGuard(): string[] {
  if (!existsSync(guardLog)) return [];
  return readFileSync(guardLog, "utf8")
    .split("\n")
    .filter((line) => line.includes('"refused"'));
}

export const test = base.extend<Options & { staysHere: undefined }, { catalogue: Catalogue }>({
  expectedErrors: [[], { option: true }],
  staysHere: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's needs from this pattern.
    async ({}, use) => {
      await use(undefined);
      expect(refusedByGuard(), "no request of the server leaves this machine").toEqual([]);
    },
    { auto: true },
  ],
  page: async ({ page, baseURL, expectedErrors }, use) => {
    const seen = watch(page, new URL(baseURL ?? "").origin);
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
      });
    });
    await use(page);
    expect(
      seen.filter((line) => !expectedErrors.some((pattern) => pattern.test(line))),
      "nothing in the console, no policy violation, no request to another origin",
    ).toEqual([]);
  },
  catalogue: [
    async ({ playwright }, use, info) => {
      const request = await playwright.request.newContext({ baseURL: info.project.use.baseURL });
      const { items: dictionaries } = await getJson<{ items: Dictionary[] }>(request, routes.api.dictionaries());
      const dictionary = dictionaries.find(({ engine }) => engine === "ready") ?? dictionaries[0];
      if (!dictionary) throw new Error("The catalogue under test holds no dictionary.");
      const query = { dictionary: dictionary.ref, sort: "-iou", concept: "object", limit: 20 };
      const { items } = await getJson<FeaturePage>(request, routes.api.features(query));
      const card = items.find(({ label, top, dead }) => label && top.length > 0 && !dead) ?? items[0];
      if (!card) throw new Error("The dictionary under test holds no object feature.");
      const feature = await getJson<FeatureDetail>(request, routes.api.feature(dictionary.ref, card.index));
      await use({ dictionaries, dictionary, feature, card });
      await request.dispose();
    },
    { scope: "worker" },
  ],
});

export { expect };

/** Resolves when React answers to events: what the server drew is there earlier, but does nothing yet. */
export async function hydrated(page: Page) {
  await page.waitForFunction(() => {
    // Parts of a page come alive one after another: all that can be pressed has to be.
    const controls = [...document.querySelectorAll("main a, main button, main input, header button")];
    return controls.length > 0 && controls.every((control) => Object.keys(control).some((key) => key.startsWith("__reactProps$")));
  });
}

/** Opens an address and waits until the page can be used. */
export async function open(page: Page, url: string) {
  const answer = await page.goto(url);
  await hydrated(page);
  return answer;
}

/** What axe finds serious or critical on the page as it stands: nothing. */
export async function expectNoGraveViolations(page: Page) {
  // Every rule runs. Only what they report is less (each violation, but not each element that is right), and is put together in the page
  // itself rather than in a second one: together two thirds of its time. Frames of other origins are none of ours.
  const { violations } = await new AxeBuilder({ page })
    .setLegacyMode()
    .options({ resultTypes: ["violations"] })
    .analyze();
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`)).toEqual([]);
}

/** No page is wider than its window. */
export async function expectNoSidewaysScrolling(page: Page) {
  const spill = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(spill, "no sideways scrolling").toBeLessThanOrEqual(0);
}

/** The share of a canvas's pixels that are not wholly transparent, read from the canvas itself. */
export async function drawnShare(page: Page, selector: string): Promise<number> {
  return page
    .locator(selector)
    .first()
    .evaluate((element) => {
      const canvas = element as HTMLCanvasElement;
      // A copy: a canvas that was handed to a worker has no context here, but can be drawn.
      const copy = document.createElement("canvas");
      copy.width = canvas.width;
      copy.height = canvas.height;
      const context = copy.getContext("2d");
      if (!context || canvas.width === 0 || canvas.height === 0) return 0;
      context.drawImage(canvas, 0, 0);
      const { data } = context.getImageData(0, 0, copy.width, copy.height);
      let drawn = 0;
      for (let i = 3; i < data.length; i += 4) if ((data[i] ?? 0) > 0) drawn += 1;
      return drawn / (data.length / 4);
    });
}
