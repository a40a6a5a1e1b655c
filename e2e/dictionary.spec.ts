import type { Page } from "@playwright/test";
import { formatIndex } from "../lib/core/format";
import type { FeaturePage } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { expect, hydrated, open, test } from "./site";

const cards = (page: Page) => page.getByRole("region", { name: "Features" }).locator("a[data-feature]");
const shownIndices = (page: Page) => cards(page).evaluateAll((links) => links.map((link) => Number(link.getAttribute("data-feature"))));
const searchBox = (page: Page) => page.getByRole("banner").getByRole("searchbox", { name: "Search features" });
/** The toolbar's count of features that pass. */
const count = (page: Page) => page.getByRole("region", { name: "Features" }).locator("p[aria-live=polite]").first();
const param = (page: Page, name: string) => new URL(page.url()).searchParams.get(name);

/** Scrolls by the wheel until what is asked is so. */
async function scrollUntil(page: Page, deltaY: number, done: () => Promise<boolean>) {
  await page.mouse.move(900, 600);
  await expect(async () => {
    if (await done()) return;
    await page.mouse.wheel(0, deltaY);
    await page.waitForTimeout(120);
    expect(await done()).toBe(true);
  }).toPass({ timeout: 90_000, intervals: [50] });
}

test("words narrow the list as they are typed, and the address keeps them", async ({ page, catalogue }) => {
  const { dictionary, card } = catalogue;
  const word = card.label?.split(" ").at(-1) ?? "";
  await open(page, routes.dictionary(dictionary.ref));
  await expect(count(page)).toContainText(dictionary.numLatents.toLocaleString("en"));
  await searchBox(page).pressSequentially(word, { delay: 30 });
  await expect(count(page)).toContainText(`match “${word}”`);
  await expect(page).toHaveURL(new RegExp(`[?&]q=${encodeURIComponent(word)}`));
  await expect(cards(page).first()).toHaveAccessibleName(new RegExp(word, "i"));

  await page.reload();
  await expect(searchBox(page)).toHaveValue(word);
  await expect(cards(page).first()).toHaveAccessibleName(new RegExp(word, "i"));
});

test("a typo still finds, and a key finds exactly", async ({ page, catalogue }) => {
  const { dictionary, card } = catalogue;
  const label = card.label ?? "";
  const longest = [...label.split(" ")].sort((a, b) => b.length - a.length)[0] ?? label;
  test.skip(longest.length < 5, "the clearest label is too short to misspell");
  const typo = longest.slice(0, 2) + longest.slice(3);
  await open(page, routes.dictionary(dictionary.ref, { q: typo }));
  await expect(cards(page).filter({ hasText: longest }).first()).toBeVisible();

  await open(page, routes.dictionary(dictionary.ref, { q: `#${card.index}` }));
  await expect(cards(page).first()).toHaveAttribute("data-feature", String(card.index));
});

test("a list that nothing passes says what to drop", async ({ page, catalogue }) => {
  await open(page, routes.dictionary(catalogue.dictionary.ref, { q: "zzqxv wkjhg", iou_min: 0.1 }));
  await expect(page.getByText("No feature passes all of this.")).toBeVisible();
  await page.getByRole("button", { name: /^without .*zzqxv/ }).click();
  await expect(cards(page).first()).toBeVisible();
  expect(param(page, "q")).toBeNull();
});

test("a histogram is brushed, shows as a chip, and comes off again", async ({ page, catalogue }) => {
  await open(page, routes.dictionary(catalogue.dictionary.ref));
  const before = (await count(page).textContent()) ?? "";
  const histogram = page
    .getByRole("complementary", { name: "Filters" })
    .getByRole("region", { name: /density/i })
    .first();
  const box = await histogram.locator("svg").boundingBox();
  if (!box) throw new Error("The density histogram is not on screen.");
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + box.height / 2, { steps: 5 });
  await page.mouse.move(box.x + box.width * 0.98, box.y + box.height / 2, { steps: 5 });
  await page.mouse.up();
  await expect(page).toHaveURL(/density_min=/);
  await expect(count(page)).toContainText(" of ");

  const chip = page.getByRole("button", { name: /remove the filter .*density/i });
  await chip.click();
  await expect(page).not.toHaveURL(/density_min=/);
  await expect(count(page)).toHaveText(before);
});

test("a sort is chosen from the menu, and back undoes it", async ({ page, catalogue, request }) => {
  const { dictionary } = catalogue;
  await open(page, routes.dictionary(dictionary.ref));
  const usual = await shownIndices(page);
  await page.getByRole("button", { name: /^Sort:/ }).click();
  await page.getByRole("menuitemradio", { name: "Density", exact: true }).click();
  await expect(page).toHaveURL(/sort=-density/);
  const wanted = (await (
    await request.get(routes.api.features({ dictionary: dictionary.ref, sort: "-density", limit: 6 }))
  ).json()) as FeaturePage;
  await expect.poll(async () => (await shownIndices(page)).slice(0, 6)).toEqual(wanted.items.map(({ index }) => index));
  await page.goBack();
  await expect.poll(async () => (await shownIndices(page)).slice(0, 6)).toEqual(usual.slice(0, 6));
  await page.goForward();
  await expect.poll(async () => (await shownIndices(page)).slice(0, 6)).toEqual(wanted.items.map(({ index }) => index));
});

test("the keyboard walks the list, opens a feature and comes back", async ({ page, catalogue }) => {
  await open(page, routes.dictionary(catalogue.dictionary.ref));
  const [first, second, third] = await shownIndices(page);
  const focused = () => page.evaluate(() => Number(document.activeElement?.getAttribute("data-feature") ?? Number.NaN));
  await page.keyboard.press("j");
  await expect.poll(focused).toBe(first);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await expect.poll(focused).toBe(third);
  await page.keyboard.press("k");
  await expect.poll(focused).toBe(second);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/${second}(\\?|$)`));
  await expect(page.getByRole("region", { name: "Examples" })).toBeVisible();
  await page.goBack();
  await expect(cards(page).first()).toBeVisible();
  await hydrated(page);

  await page.keyboard.press("/");
  await expect(searchBox(page)).toBeFocused();
  await page.keyboard.press("Escape");
  await page.locator("body").click({ position: { x: 2, y: 500 } });
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog")).toContainText(/keyboard|keys/i);
});

test("scrolling loads on and on; a link into the middle opens there and loads both ways", async ({ page, catalogue }) => {
  const { dictionary } = catalogue;
  await open(page, routes.dictionary(dictionary.ref));
  await scrollUntil(page, 1_600, async () => (await shownIndices(page)).some((index) => index >= 170));
  await expect.poll(() => param(page, "at")).not.toBeNull();
  const at = Number(param(page, "at"));
  expect(at).toBeGreaterThan(100);

  await page.reload();
  const place = page.locator(`a[data-feature="${at}"]`);
  await expect(place).toBeVisible();
  await expect(place).toBeInViewport();
  await scrollUntil(page, -1_600, async () => (await page.evaluate(() => window.scrollY)) === 0 && (await shownIndices(page)).includes(0));
  await expect.poll(() => param(page, "at")).toBeNull();
  const indices = await shownIndices(page);
  expect(indices).toEqual([...new Set(indices)].sort((a, b) => a - b));
});

test("back from a feature stands where one left, to the pixel", async ({ page, catalogue }) => {
  await open(page, routes.dictionary(catalogue.dictionary.ref, { sort: "-density" }));
  await scrollUntil(page, 900, async () => (await page.evaluate(() => window.scrollY)) > 2_500);
  await expect.poll(() => param(page, "at")).not.toBeNull();
  await page.waitForTimeout(600);
  const left = await page.evaluate(() => window.scrollY);
  const inView = cards(page).and(page.locator(`[data-feature="${param(page, "at")}"]`));
  await inView.click();
  await expect(page.getByRole("region", { name: "Examples" })).toBeVisible();
  await page.goBack();
  await expect(cards(page).first()).toBeVisible();
  await expect.poll(() => page.evaluate((y) => Math.abs(window.scrollY - y), left)).toBeLessThanOrEqual(2);
});

test("the table shows the numbers, sorts by a column, and stays in the address", async ({ page, catalogue }) => {
  const { dictionary, card } = catalogue;
  await open(page, routes.dictionary(dictionary.ref, { q: `#${card.index}` }));
  await page
    .getByRole("radio", { name: "Table" })
    .or(page.getByRole("button", { name: "Table" }))
    .click();
  await expect(page).toHaveURL(/view=table/);
  const table = page.getByRole("table");
  await expect(table).toContainText(formatIndex(card.index, dictionary.numLatents));
  await page.reload();
  await expect(table).toContainText(formatIndex(card.index, dictionary.numLatents));
});

test("pictures on the first screen carry their heat", async ({ page, catalogue }) => {
  await open(page, routes.dictionary(catalogue.dictionary.ref, { sort: "-iou" }));
  await expect
    .poll(() =>
      cards(page)
        .first()
        .evaluate((link) => {
          const canvas = link.closest("article")?.querySelector("canvas");
          const data = canvas?.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data;
          return data ? data.filter((_, i) => i % 4 === 3).some((alpha) => alpha > 0) : false;
        }),
    )
    .toBe(true);
});
