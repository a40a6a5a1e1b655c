/** Lists and features of one version of a dictionary, as `?v=` pins them, where the catalogue holds two (e2e/write-versions.ts). */
import type { Page } from "@playwright/test";
import type { Dictionary, FeaturePage } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { type Catalogue, expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";

const cards = (page: Page) => page.getByRole("region", { name: "Features" }).locator("a[data-feature]");
const names = (page: Page) => cards(page).evaluateAll((links) => links.map((link) => link.getAttribute("aria-label") ?? ""));
const note = (page: Page) => page.getByRole("main").getByRole("note");

/** The dictionary with two versions, and 12 digits of each: the latest, the older. */
function versioned({ dictionaries }: Catalogue): { dictionary: Dictionary; late: string; early: string } {
  const dictionary = dictionaries.find(({ versions }) => versions.length > 1);
  const [late, early] = dictionary?.versions.map((version) => version.slice(0, 12)) ?? [];
  if (!dictionary || !late || !early) throw new Error("The catalogue under test holds no dictionary in two versions.");
  return { dictionary, late, early };
}

/** No card of the list is named by the other version's word. */
async function expectAll(page: Page, word: "early" | "late") {
  const other = word === "early" ? "late" : "early";
  await expect(
    cards(page)
      .filter({ hasText: new RegExp(`^${word} `) })
      .first(),
  ).toBeVisible();
  expect((await names(page)).filter((name) => name.includes(` ${other} `))).toEqual([]);
}

test("a list without a version is the latest's, and leads to the older one, which says what it is and leads back", async ({
  page,
  catalogue,
}) => {
  const { dictionary, early } = versioned(catalogue);
  await open(page, routes.dictionary(dictionary.ref));
  await expectAll(page, "late");
  await expect(note(page)).toHaveCount(0);
  await page.getByRole("main").getByRole("link", { name: early }).click();
  await expect(page).toHaveURL(new RegExp(`[?&]v=${early}`));
  await expectAll(page, "early");
  await expect(note(page)).toContainText(`These are the features of ${early}, an older version of the dictionary.`);
  await expect(page.getByRole("link", { name: early })).toHaveAttribute("aria-current", "page");
  await expectNoGraveViolations(page);
  await note(page).getByRole("link", { name: "Open the latest" }).click();
  await expectAll(page, "late");
  await expect(page).not.toHaveURL(/[?&]v=/);
});

test("a pinned list keeps to its version: drawn by the server, searched, filtered, sorted, scrolled to its end, as a table", async ({
  page,
  catalogue,
  request,
}) => {
  const { dictionary, early, late } = versioned(catalogue);
  const html = await (await request.get(routes.dictionary(dictionary.ref, { v: early }))).text();
  expect(html).toMatch(/early (circle|square|\w+ things)/);
  expect(html).not.toMatch(/late (circle|square|\w+ things)/);

  await open(page, routes.dictionary(dictionary.ref, { v: early, sort: "index" }));
  const seen = new Set<string>();
  await page.mouse.move(900, 600);
  await expect(async () => {
    for (const name of await names(page)) seen.add(name);
    await page.mouse.wheel(0, 900);
    expect(seen.size).toBe(dictionary.numLatents);
  }).toPass({ timeout: 60_000, intervals: [80] });
  expect([...seen].filter((name) => name.includes(" late "))).toEqual([]);
  expect([...seen].filter((name) => name.includes(" early ")).length).toBeGreaterThan(dictionary.numLatents / 2);

  await page.getByRole("banner").getByRole("searchbox", { name: "Search features" }).fill("circle");
  await expect(page).toHaveURL(/[?&]q=circle/);
  await expect(page).toHaveURL(new RegExp(`[?&]v=${early}`));
  await expect(cards(page).first()).toHaveAccessibleName(/early .*circle/);
  await expectAll(page, "early");
  await page.getByRole("radio", { name: "Table" }).click();
  await expect(page.getByRole("table")).toContainText("early circle");
  await expect(page.getByRole("table")).not.toContainText("late circle");

  // What only one version has is found in that one alone.
  for (const [version, words] of [
    [early, "late"],
    [late, "early"],
  ] as const) {
    const found = (await (
      await request.get(routes.api.features({ dictionary: dictionary.ref, v: version, q: `"${words}"`, limit: 5 }))
    ).json()) as FeaturePage;
    expect(found.items.filter(({ label }) => label?.startsWith(words))).toEqual([]);
  }
});

test("a feature of a pinned list is that version's, and so are its neighbours in the list", async ({ page, catalogue }) => {
  const { dictionary, early } = versioned(catalogue);
  await open(page, routes.dictionary(dictionary.ref, { v: early, sort: "index" }));
  await cards(page).first().click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("early ");
  await expect(page).toHaveURL(new RegExp(`[?&]v=${early}`));
  await expect(note(page)).toContainText(`This link is pinned to ${early}, an older version of the dictionary.`);
  await page.keyboard.press("j");
  await expect(page).toHaveURL(new RegExp(`/1\\?.*v=${early}`));
  await expect(page.getByRole("heading", { level: 1 })).toContainText("early ");
  await note(page)
    .getByRole("link", { name: /of the latest$/ })
    .click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("late ");
  await expect(page).not.toHaveURL(/[?&]v=/);
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("early ");
});

test.describe("a version that is not there", () => {
  test.use({ expectedErrors: [/409|404/] });
  test("is named, and nothing else is shown in its place", async ({ page, catalogue }) => {
    const { dictionary } = versioned(catalogue);
    await page.goto(routes.dictionary(dictionary.ref, { v: "0123456789ab" }));
    await expect(page.getByRole("main")).toContainText("0123456789ab");
    await expect(cards(page)).toHaveCount(0);
    await page.getByRole("link", { name: "See its features" }).click();
    await expectAll(page, "late");
  });
});

test("a dictionary that no engine runs can be set up in the sandbox and shared, not run, and offers no steering elsewhere", async ({
  page,
  catalogue,
}) => {
  const { dictionary } = versioned(catalogue);
  expect(dictionary.engine).toBe("none");
  await open(page, routes.steer({ dictionary: dictionary.ref, feature: 0 }));
  await expect(page.getByText(/No engine here can run A test model, so this request can be set up and shared but not run/)).toBeVisible();
  const run = page.getByRole("main").getByRole("button", { name: "Run", exact: true });
  await expect(run).toHaveCount(1);
  await expect(run).toHaveAttribute("aria-disabled", "true");
  await run.press("Enter");
  await page.keyboard.press("Control+Enter");
  await expect(page.getByRole("region", { name: /answer$/ })).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Save", exact: true })).toHaveCount(0);
  await expectNoGraveViolations(page);
  await expectNoSidewaysScrolling(page);
  await open(page, routes.dictionary(dictionary.ref));
  await expect(page.getByRole("link", { name: /^Steer with/ })).toHaveCount(0);
});

test("a card of a list leads to the sandbox with its feature clamped", async ({ page, catalogue }) => {
  await open(page, routes.dictionary(catalogue.dictionary.ref, { q: catalogue.card.label ?? "" }));
  const card = page.locator("article").first();
  const label = await card.locator("a[data-feature]").textContent();
  await card.hover();
  await card.getByRole("link", { name: /^Steer with/ }).click();
  await expect(page).toHaveURL(/\/steer\?/);
  await expect(page.getByRole("region", { name: "Clamps" }).getByRole("listitem").first()).toContainText(label ?? "");
});
