/** What holds for every page: accessible, calm under the policy, not too heavy; and a picture of each, kept for a person to look at. */
import { gzipSync } from "node:zlib";
import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { routes } from "../lib/core/routes";
import { type Catalogue, expect, open, test } from "./site";

const pages: Record<string, (catalogue: Catalogue) => string> = {
  home: () => routes.home(),
  dictionary: ({ dictionary }) => routes.dictionary(dictionary.ref),
  search: ({ dictionary, card }) => routes.dictionary(dictionary.ref, { q: card.label?.split(" ").at(-1) ?? "" }),
  feature: ({ dictionary, card }) => routes.feature(dictionary.ref, card.index),
  image: ({ dictionary, card }) => routes.image(card.top[0]?.image ?? "", { dictionary: dictionary.ref }),
  steer: () => routes.steer(),
};

const sizes = {
  desktop: { width: 1440, height: 900 },
  tablet: { width: 1024, height: 768 },
  phone: { width: 390, height: 844 },
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

for (const scheme of ["light", "dark"] as const) {
  for (const [size, viewport] of Object.entries(sizes)) {
    test.describe(`${scheme}, ${size}`, () => {
      test.use({ viewport, colorScheme: scheme });
      for (const [name, address] of Object.entries(pages)) {
        test(`${name} is accessible and fits`, async ({ page, catalogue }) => {
          const answer = await open(page, address(catalogue));
          expect(answer?.status()).toBe(200);
          await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
          await settle(page);
          await page.screenshot({ path: `artefacts/screenshots/${name}-${size}-${scheme}.png` });

          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          expect(overflow, "no sideways scrolling").toBeLessThanOrEqual(0);

          const { violations } = await new AxeBuilder({ page }).analyze();
          const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
          expect(grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`)).toEqual([]);
        });
      }
    });
  }
}

test("an unknown address is a page of its own", async ({ browser, baseURL }) => {
  const page = await (await browser.newContext({ baseURL })).newPage();
  const answer = await page.goto("/nothing-here");
  expect(answer?.status()).toBe(404);
  await expect(page.getByRole("main").getByRole("link").first()).toBeVisible();
  await page.context().close();
});

test("a list page weighs at most 60 KB over the wire, maps included", async ({ request, catalogue }) => {
  const { dictionary } = catalogue;
  const html = await request.get(routes.dictionary(dictionary.ref), { headers: { "Accept-Encoding": "gzip" } });
  expect(html.headers()["content-encoding"]).toBe("gzip");
  expect(gzipSync(await html.body()).length, "the page as first drawn by the server").toBeLessThanOrEqual(60 * 1024);
  const list = await request.get(routes.api.features({ dictionary: dictionary.ref, limit: 50 }), {
    headers: { "Accept-Encoding": "gzip" },
  });
  expect(list.headers()["content-encoding"]).toBe("gzip");
  expect(gzipSync(await list.body()).length, "the next 50 features").toBeLessThanOrEqual(60 * 1024);
});

test("the first paint has the content in it, before any script", async ({ browser, baseURL, catalogue }) => {
  const { dictionary, card } = catalogue;
  const context = await browser.newContext({ baseURL, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(routes.dictionary(dictionary.ref, { sort: "-iou" }));
  await expect(page.getByRole("main")).toContainText(/\d/);
  await page.goto(routes.feature(dictionary.ref, card.index));
  await expect(page.getByRole("heading", { level: 1 })).toContainText(card.label ?? String(card.index));
  await context.close();
});
