/** What holds for every page: accessible, calm under the policy, not too heavy; and a picture of each, kept for a person to look at. */
import { gzipSync } from "node:zlib";
import type { APIRequestContext, Page } from "@playwright/test";
import type { FeaturePage } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { type Catalogue, expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";

const pages: Record<string, (catalogue: Catalogue) => string> = {
  home: () => routes.home(),
  dictionary: ({ dictionary }) => routes.dictionary(dictionary.ref),
  search: ({ dictionary, card }) => routes.dictionary(dictionary.ref, { q: card.label?.split(" ").at(-1) ?? "" }),
  feature: ({ dictionary, card }) => routes.feature(dictionary.ref, card.index),
  image: ({ dictionary, card }) => routes.image(card.top[0]?.image ?? "", { dictionary: dictionary.ref }),
  steer: () => routes.steer(),
  trace: () => routes.trace(),
  experiments: () => routes.experiments(),
  stories: () => routes.stories(),
  "own picture": () => routes.ownImage(),
};

const desktop = { width: 1440, height: 900 };
const phone = { width: 390, height: 844 };
/** The last two: a desktop at 200 % zoom, and the narrowest window that a page must fit. */
const sizes = {
  desktop,
  tablet: { width: 1024, height: 768 },
  phone,
  zoomed: { width: 720, height: 450 },
  narrow: { width: 320, height: 640 },
};

async function settle(page: Page) {
  await page.waitForLoadState("networkidle");
  // Pictures further down load when they are scrolled to, and are not waited for.
  await page.waitForFunction(() =>
    [...document.images].every(
      (image) => image.complete || image.getBoundingClientRect().top > window.innerHeight || image.offsetParent === null,
    ),
  );
}

for (const [size, viewport] of Object.entries(sizes)) {
  for (const scheme of size === "zoomed" || size === "narrow" ? (["light"] as const) : (["light", "dark"] as const)) {
    test.describe(`${scheme}, ${size}`, () => {
      test.use({ viewport, colorScheme: scheme });
      for (const [name, address] of Object.entries(pages)) {
        test(`${name} is accessible and fits`, async ({ page, catalogue }) => {
          const answer = await open(page, address(catalogue));
          expect(answer?.status()).toBe(200);
          await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
          await settle(page);
          await page.screenshot({ path: `artefacts/screenshots/${name}-${size}-${scheme}.png` });
          await expectNoSidewaysScrolling(page);
          await expectNoGraveViolations(page);
        });
      }
    });
  }
}

/** An address of the API whose first feature is asked for. */
async function firstFeature(request: APIRequestContext, query: Record<string, string | number>): Promise<number> {
  const { items } = (await (await request.get(routes.api.features({ ...query, limit: 1 }))).json()) as FeaturePage;
  const [item] = items;
  if (!item) throw new Error(`The dictionary under test holds no feature with ${JSON.stringify(query)}.`);
  return item.index;
}

for (const [scheme, viewport] of [
  ["light", desktop],
  ["dark", phone],
] as const) {
  test.describe(`${scheme}, ${viewport.width} px`, () => {
    test.use({ viewport, colorScheme: scheme, expectedErrors: [/404|409|400/] });

    test("what opens over a page, and pages without their usual content, are accessible and fit", async ({ page, catalogue, request }) => {
      const { dictionary, card } = catalogue;
      const dead = await firstFeature(request, { dictionary: dictionary.ref, dead: 1 });
      const unexplained = await firstFeature(request, { dictionary: dictionary.ref, dead: 0, explained: 0 });
      const check = async () => {
        await expectNoSidewaysScrolling(page);
        await expectNoGraveViolations(page);
      };
      await open(page, routes.dictionary(dictionary.ref, { view: "table" }));
      await check();
      await page.keyboard.press("ControlOrMeta+k");
      await page
        .getByRole("dialog")
        .getByRole("combobox")
        .fill(card.label ?? "a");
      await expect(page.getByRole("dialog").getByRole("option").first()).toBeVisible();
      await check();
      await page.keyboard.press("Escape");
      await page.keyboard.press("?");
      await expect(page.getByRole("dialog", { name: "Keyboard" })).toBeVisible();
      await check();
      await page.keyboard.press("Escape");
      if (viewport === phone) {
        await page.getByRole("button", { name: "Filters" }).click();
        await expect(page.getByRole("dialog", { name: "Filters" })).toContainText("Density");
        await check();
      }
      for (const address of [
        routes.dictionary(dictionary.ref, { q: "zzqxv wkjhg", iou_min: 0.1 }),
        routes.dictionary(dictionary.ref, { sort: "beauty" }),
        routes.dictionary("no-such/dictionary"),
        routes.feature(dictionary.ref, dead),
        routes.feature(dictionary.ref, unexplained),
        routes.feature(dictionary.ref, card.index, { v: "0123456789ab" }),
        routes.feature(dictionary.ref, 99_999_999),
        routes.image("0".repeat(64)),
      ]) {
        await open(page, address);
        await expect(page.getByRole("heading", { level: 1 }), address).toHaveCount(1);
        await expect(page.locator("html"), address).toHaveAttribute("data-theme", scheme);
        await check();
      }
    });
  });
}

for (const [name, address] of Object.entries(pages)) {
  test(`${name} can be walked by keyboard, every stop seen`, async ({ page, catalogue }) => {
    await open(page, address(catalogue));
    await settle(page);
    const stops: string[] = [];
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press("Tab");
      const stop = await page.evaluate(() => {
        const focused = document.activeElement as HTMLElement | null;
        // Past the last stop; a development server adds its own button there.
        if (!focused || focused === document.body || focused.localName === "nextjs-portal") return null;
        // Its own outline or ring, that of the box laid over its card, or the card's.
        const rings = [getComputedStyle(focused), getComputedStyle(focused, "::after"), getComputedStyle(focused, "::before")];
        const card = focused.closest("article, li, label");
        const lit = (style: CSSStyleDeclaration) => style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) > 0;
        const seen = rings.some(lit) || (card !== null && /0px 0px 0px [1-9]/.test(getComputedStyle(card).boxShadow));
        const box = focused.getBoundingClientRect();
        const onScreen = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight;
        return { seen, onScreen, html: focused.outerHTML.slice(0, 140) };
      });
      if (!stop) break;
      expect(stop, `stop ${i + 1}`).toMatchObject({ seen: true, onScreen: true });
      stops.push(stop.html);
    }
    expect(stops.length).toBeGreaterThan(5);
  });
}

/** Of everything on the page: seconds of the longest transition and animation, and whether any part of it scrolls smoothly. */
const motionOf = (page: Page) =>
  page.evaluate(() => {
    const seconds = (list: string) =>
      Math.max(...list.split(",").map((one) => Number.parseFloat(one) * (one.trim().endsWith("ms") ? 0.001 : 1)));
    const styles = [...document.querySelectorAll("*")].flatMap((element) =>
      [undefined, "::before", "::after"].map((part) => getComputedStyle(element, part)),
    );
    return {
      transition: Math.max(...styles.map((style) => seconds(style.transitionDuration))),
      animated: styles.filter((style) => style.animationName !== "none").length,
      running: document.getAnimations().length,
      smooth: styles.filter((style) => style.scrollBehavior === "smooth").length,
    };
  });

const still = { transition: 0, animated: 0, running: 0, smooth: 0 };

/** Scrolls as scripts do, and answers where the page then is at once, and a while later: the same, where nothing glides. */
const scrolled = (page: Page) =>
  page.evaluate(async () => {
    const wanted = Math.min(700, document.documentElement.scrollHeight - window.innerHeight);
    window.scrollTo(0, wanted);
    const atOnce = Math.round(window.scrollY);
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { wanted, atOnce, later: Math.round(window.scrollY) };
  });

test("motion is short, and none where less is asked for: on every page, while it loads, while it is scrolled, and over it", async ({
  page,
  catalogue,
}) => {
  test.slow();
  for (const [name, address] of Object.entries(pages)) {
    await page.emulateMedia({ reducedMotion: "no-preference" });
    await open(page, address(catalogue));
    const usual = await motionOf(page);
    expect(usual.transition, name).toBeGreaterThan(0);
    expect(usual.transition, name).toBeLessThanOrEqual(0.15);
    expect(usual.smooth, name).toBe(0);

    await page.emulateMedia({ reducedMotion: "reduce" });
    // Skeletons and what waits are looked at too.
    await page.route("**/api/**", async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      await route.continue().catch(() => {});
    });
    await open(page, address(catalogue));
    expect(await motionOf(page), `${name}, loading`).toEqual(still);
    await page.unroute("**/api/**", undefined);
    await settle(page);
    expect(await motionOf(page), name).toEqual(still);
    const { wanted, atOnce, later } = await scrolled(page);
    expect([Math.abs(atOnce - wanted) <= 1, Math.abs(later - atOnce) <= 1], `${name} glides: ${atOnce}, ${later} of ${wanted}`).toEqual([
      true,
      true,
    ]);
    await page.mouse.move(700, 450);
    await page.mouse.wheel(0, 400);
    expect(await motionOf(page), `${name}, scrolled`).toEqual(still);
    for (const key of ["ControlOrMeta+k", "?"]) {
      await page.keyboard.press(key);
      await expect(page.getByRole("dialog")).toBeVisible();
      expect(await motionOf(page), `${name}, ${key}`).toEqual(still);
      await page.keyboard.press("Escape");
      await expect(page.getByRole("dialog")).toHaveCount(0);
    }
  }
});

for (const viewport of [desktop, phone]) {
  test(`nothing jumps while slow pictures and answers come in, ${viewport.width} px`, async ({ page, catalogue }) => {
    await page.setViewportSize(viewport);
    await page.addInitScript(() => {
      const shifts: string[] = [];
      Object.assign(globalThis, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & { value: number; sources?: { node: Node | null }[] })[]) {
          const nodes = entry.sources?.map(({ node }) => (node instanceof Element ? node.outerHTML.slice(0, 100) : String(node)));
          if (entry.value > 0.005) shifts.push(`${entry.value.toFixed(4)} ${nodes?.join(" | ")}`);
        }
      }).observe({ type: "layout-shift", buffered: true });
    });
    await page.route("**/api/**", async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 700));
      await route.continue();
    });
    for (const name of ["home", "dictionary", "feature", "image"]) {
      await open(page, pages[name]?.(catalogue) ?? "");
      await settle(page);
      const shifts = await page.evaluate(() => (globalThis as unknown as { shifts: string[] }).shifts);
      expect(shifts, name).toEqual([]);
    }
  });
}

/** Addresses of pages that cannot be shown: the status, and what their page says. */
const unknown: [string, number, (ref: string) => string, RegExp][] = [
  ["page", 404, () => "/nothing-here", /^There is no page at this address\.$/],
  ["dictionary", 404, () => routes.dictionary("no-such/dictionary"), /^There is no dictionary “no-such\/dictionary” here\.$/],
  ["odd dictionary", 404, () => "/d/a%00b/50%25%20%F0%9F%A5%9D", /^There is no dictionary “a␀b\/50% 🥝” here\.$/],
  ["odd feature", 404, () => "/d/a%00b/c%2Fd/1", /^There is no dictionary “a␀b\/c\/d” here\.$/],
  ["feature", 404, (ref) => routes.feature(ref, 9_999_999), /^There is no feature 9999999 in /],
  ["index", 404, (ref) => `${routes.dictionary(ref)}/first`, /^There is no feature first in /],
  ["picture", 404, () => routes.image("0".repeat(64)), /^There is no picture 000000000000 here\.$/],
  ["version", 409, (ref) => routes.feature(ref, 1, { v: "0123456789ab" }), /^This link is pinned to another version of the dictionary\.$/],
  ["query key", 400, (ref) => routes.dictionary(ref, { colour: "red" }), /^"colour" is not a query key of the feature list\.$/],
  ["sort key", 400, (ref) => routes.dictionary(ref, { sort: "beauty" }), /^"beauty" is not a sort key;/],
  ["cursor", 400, (ref) => routes.dictionary(ref, { cursor: "nonsense" }), /^The cursor is not one of this API\.$/],
];

test("an address that cannot be shown is answered by the server with its status and a sentence, before any script", async ({
  browser,
  baseURL,
  catalogue,
}) => {
  const context = await browser.newContext({ baseURL, javaScriptEnabled: false });
  const page = await context.newPage();
  const { ref } = catalogue.dictionary;
  for (const [name, status, address, sentence] of unknown) {
    const answer = await page.goto(address(ref));
    expect(answer?.status(), name).toBe(status);
    expect(await answer?.text(), name).not.toContain("\0");
    await expect(page).toHaveTitle(status === 404 ? "Not found · Facet" : status === 409 ? "Another version · Facet" : "Error · Facet");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(sentence);
    // What to do is a press away.
    await expect(page.getByRole("main").getByRole("link").first()).toBeVisible();
  }
  const picture = catalogue.card.top[0]?.image ?? "";
  expect((await page.goto(routes.image(picture, { dictionary: "no/such" })))?.status()).toBe(404);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("There is no dictionary “no/such” here.");
  await page.getByRole("link", { name: "See the picture with another" }).click();
  await expect(page).toHaveURL(routes.image(picture));
  // What a client claims is missing is nothing to the server.
  const sent = { headers: { "x-missing": encodeURIComponent('{"kind":"image","sha256":"1"}') } };
  expect((await context.request.get(routes.dictionary(ref), sent)).status()).toBe(200);
  await context.close();
});

test.describe("an address that cannot be shown", () => {
  test.use({ expectedErrors: [/404|409|400/] });
  test("is the same page in the browser, comes alive, and is accessible", async ({ page, catalogue }) => {
    const { ref } = catalogue.dictionary;
    for (const [, , address, sentence] of unknown) {
      await open(page, address(ref));
      await expect(page.getByRole("heading", { level: 1 })).toHaveText(sentence);
      await expectNoSidewaysScrolling(page);
      await expectNoGraveViolations(page);
    }
    await page.getByRole("main").getByRole("link", { name: "Open the whole list" }).click();
    await expect(page).toHaveURL(routes.dictionary(ref));
    await expect(page.locator("main article").first()).toBeVisible();
  });
});

test("a list page weighs at most 60 KB over the wire, maps included, whatever its order", async ({ request, catalogue }) => {
  const { dictionary } = catalogue;
  // As it opens, and by what has the largest maps.
  for (const sort of [undefined, "-density", "-iou", "-images", "-max_activation"]) {
    const html = await request.get(routes.dictionary(dictionary.ref, { sort }), { headers: { "Accept-Encoding": "gzip" } });
    expect(html.headers()["content-encoding"]).toBe("gzip");
    expect(gzipSync(await html.body()).length, `the page as first drawn by the server, ${sort}`).toBeLessThanOrEqual(60_000);
    const list = await request.get(routes.api.features({ dictionary: dictionary.ref, sort, limit: 50 }), {
      headers: { "Accept-Encoding": "gzip" },
    });
    expect(list.headers()["content-encoding"]).toBe("gzip");
    expect(gzipSync(await list.body()).length, `the next 50 features, ${sort}`).toBeLessThanOrEqual(60_000);
  }
});

test("the first paint has the content in it, before any script", async ({ browser, baseURL, catalogue }) => {
  const { dictionary, card } = catalogue;
  const context = await browser.newContext({ baseURL, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(routes.dictionary(dictionary.ref, { sort: "-iou", concept: "object" }));
  await expect(page.locator(`main a[data-feature="${card.index}"]`)).toHaveAccessibleName(new RegExp(`${card.label}$`));
  await page.goto(routes.feature(dictionary.ref, card.index));
  await expect(page.getByRole("heading", { level: 1 })).toContainText(card.label ?? String(card.index));
  await context.close();
});
