import { readFile } from "node:fs/promises";
import type { APIRequestContext, Page } from "@playwright/test";
import { formatIndex } from "../lib/core/format";
import type { FeatureCard, FeaturePage } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { expect, expectNoGraveViolations, expectNoSidewaysScrolling, hydrated, open, test } from "./site";

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

test("a typo still finds, and a key finds exactly", async ({ page, catalogue, request }) => {
  const { dictionary, card } = catalogue;
  // The longest word of the best labels: long enough to be known again with a letter missing.
  const { items } = (await (
    await request.get(routes.api.features({ dictionary: dictionary.ref, explained: 1, limit: 100 }))
  ).json()) as FeaturePage;
  const words = items.flatMap(({ label }) => label?.match(/[a-z]+/gi) ?? []).sort((a, b) => b.length - a.length);
  const [longest = ""] = words;
  expect(longest.length, `words of labels: ${words.slice(0, 5)}`).toBeGreaterThanOrEqual(5);
  const typo = longest.slice(0, 2) + longest.slice(3);
  await open(page, routes.dictionary(dictionary.ref, { q: typo }));
  await expect(cards(page).filter({ hasText: longest }).first()).toBeVisible();
  await expect(page.getByText("by similar words").or(page.locator("main mark")).first()).toBeVisible();

  await open(page, routes.dictionary(dictionary.ref, { q: `#${card.index}` }));
  await expect(cards(page).first()).toHaveAttribute("data-feature", String(card.index));
});

test("what means the same is found without its words, and the page says that that is why", async ({ page, catalogue, request }) => {
  const { dictionary } = catalogue;
  const ask = async (q: string) =>
    (await (await request.get(routes.api.features({ dictionary: dictionary.ref, q }))).json()) as FeaturePage;
  // Whatever things the catalogue knows, some of these ask for them in other words.
  const questions = ["sea creature", "a pet that barks", "musical instrument", "furniture to sit on", "something to cut paper", "vehicle"];
  let question = "";
  for (const q of questions) {
    const { items, meaning } = await ask(q);
    expect(meaning?.state).toBe("used");
    if (items[0]?.match?.kind === "meaning") question = q;
  }
  expect(question).not.toBe("");
  const { items, total } = await ask(question);
  await open(page, routes.dictionary(dictionary.ref, { q: question }));
  await expect(cards(page).first()).toHaveAttribute("data-feature", String(items[0]?.index));
  await expect(page.getByText("similar meaning", { exact: true }).first()).toBeVisible();
  await expect(count(page)).toContainText(total.toLocaleString("en"));
  await expect(page.getByText("By words alone")).toHaveCount(0);

  await page.goto(routes.dictionary(dictionary.ref, { q: question, view: "table" }));
  await expect(page.getByRole("table").getByText("similar meaning", { exact: true }).first()).toBeVisible();

  // A filter counts before the limit; the list still says its order where a metric gives it.
  await page.goto(routes.dictionary(dictionary.ref, { q: question, sort: "-density", explained: 1 }));
  await expect(page.getByText("From the greatest density; features without one come last.")).toBeVisible();
});

test("a script that the embedder does not read is searched by words, and the page says so", async ({ page, catalogue }) => {
  await open(page, routes.dictionary(catalogue.dictionary.ref, { q: "собака" }));
  await expect(page.getByText("By words alone: the embedder does not read this script.")).toBeVisible();
});

test("only what was scored is asked for, and taken back", async ({ page, catalogue }) => {
  await open(page, routes.dictionary(catalogue.dictionary.ref));
  const before = (await count(page).textContent()) ?? "";
  await page
    .getByRole("complementary", { name: "Filters" })
    .getByRole("button", { name: /^IoU.*\d/ })
    .click();
  await expect(page).toHaveURL(/scored_by=iou/);
  await expect(count(page)).toContainText(" of ");
  await page.getByRole("button", { name: "Remove the filter Scored by IoU" }).click();
  await expect(count(page)).toHaveText(before);
});

for (const letter of ["a ", "黄", "🥳", "ش"]) {
  test(`2,000 characters of ${letter} are answered by page and API`, async ({ page, catalogue, request }) => {
    const q = letter.repeat(2_000 / [...letter].length);
    const answer = await request.get(routes.api.features({ dictionary: catalogue.dictionary.ref, q }));
    expect(answer.status()).toBe(200);
    const response = await page.goto(routes.dictionary(catalogue.dictionary.ref, { q }));
    expect(response?.status()).toBe(200);
    await expectNoSidewaysScrolling(page);
  });
}

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
  // The histogram, its chip and the list speak of the same range.
  const chosen = page.getByRole("button", { name: /remove the filter .*density/i });
  const least = (await chosen.textContent())?.match(/[\d.]+ %/)?.[0] ?? "no range";
  await expect(histogram).toContainText(`≥ ${least}`);

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
  // The keys go on from the card that one comes back from.
  await page.keyboard.press("j");
  await expect.poll(focused).toBe(second);

  await page.keyboard.press("/");
  await expect(searchBox(page)).toBeFocused();
  await page.keyboard.press("Escape");
  await page.locator("body").click({ position: { x: 2, y: 500 } });
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog")).toContainText(/keyboard|keys/i);
});

test("a list opens on what steers best, says so, and leaves that out of its address", async ({ page, catalogue, request }) => {
  const { dictionary } = catalogue;
  const get = async (sort?: string) =>
    (await (await request.get(routes.api.features({ dictionary: dictionary.ref, sort, limit: 12 }))).json()) as FeaturePage;
  const [usual, named] = [await get(), await get("-steer")];
  expect(usual.items).toEqual(named.items);
  expect(usual.items.filter(({ dead, label }) => dead || !label)).toEqual([]);
  await open(page, routes.dictionary(dictionary.ref));
  expect((await shownIndices(page)).slice(0, 12)).toEqual(usual.items.map(({ index }) => index));
  await expect(page.getByRole("button", { name: "Sort: Steering effect, descending" })).toBeVisible();
  await page.getByRole("button", { name: /^Sort:/ }).click();
  await expect(page.getByRole("menu")).toContainText("From the greatest; features without a value come last.");
  await page.getByRole("menuitemradio", { name: "Index", exact: true }).click();
  await expect(page).toHaveURL(/sort=index/);
  await page.getByRole("button", { name: /^Sort:/ }).click();
  await page.getByRole("menuitemradio", { name: "Steering effect", exact: true }).click();
  await expect.poll(() => param(page, "sort")).toBeNull();
  expect((await shownIndices(page)).slice(0, 12)).toEqual(usual.items.map(({ index }) => index));
});

/** A list's order as the API walks it, up to `count` features. */
async function orderOf(request: APIRequestContext, dictionary: string, count: number): Promise<number[]> {
  const order: number[] = [];
  let cursor: string | undefined;
  do {
    const answer = await request.get(routes.api.features({ dictionary, limit: 100, cursor }));
    const { items, next } = (await answer.json()) as FeaturePage;
    order.push(...items.map(({ index }) => index));
    cursor = next ?? undefined;
  } while (cursor && order.length < count);
  return order;
}

test("scrolling loads on and on; a link into the middle opens there and loads both ways", async ({ page, catalogue, request }) => {
  const { dictionary } = catalogue;
  const order = await orderOf(request, dictionary.ref, 300);
  await open(page, routes.dictionary(dictionary.ref));
  await scrollUntil(page, 1_600, async () => (await shownIndices(page)).some((index) => order.indexOf(index) >= 170));
  // The address follows a moment behind the scrolling.
  let at = Number.NaN;
  await expect
    .poll(
      () => {
        const before = at;
        at = Number(param(page, "at") ?? Number.NaN);
        return at === before;
      },
      { intervals: [600] },
    )
    .toBe(true);
  expect(order.indexOf(at)).toBeGreaterThan(100);

  await page.reload();
  const place = page.locator(`a[data-feature="${at}"]`);
  await expect(place).toBeVisible();
  await expect(place).toBeInViewport();
  await scrollUntil(
    page,
    -1_600,
    async () => (await page.evaluate(() => window.scrollY)) === 0 && (await shownIndices(page)).includes(order[0] ?? -1),
  );
  await expect.poll(() => param(page, "at")).toBeNull();
  const indices = await shownIndices(page);
  expect(indices).toEqual(order.slice(0, indices.length));
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
  await hydrated(page);

  // A column's head sorts by it, from the greatest and then the other way.
  await page.goto(routes.dictionary(dictionary.ref, { view: "table" }));
  await hydrated(page);
  await table.getByRole("button", { name: "Max", exact: true }).click();
  await expect(page).toHaveURL(/sort=-max_activation/);
  await expect(table.getByRole("columnheader", { name: "Max" })).toHaveAttribute("aria-sort", "descending");
  await table.getByRole("button", { name: "Max", exact: true }).click();
  await expect(page).toHaveURL(/sort=max_activation/);

  // The whole list goes into a file, in its order.
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: /^Download .* as CSV/ }).click()]);
  const written = await readFile(await file.path(), "utf8");
  expect(written.split("\r\n").length).toBeGreaterThan(dictionary.counts.features);
  expect(written.split("\r\n")[0]).toMatch(/^index,label,concept,explanation,density/);
});

test("keys act on the card in focus: heat, next picture, link, steer", async ({ page, catalogue }) => {
  const { dictionary } = catalogue;
  await open(page, routes.dictionary(dictionary.ref));
  const [first] = await shownIndices(page);
  await page.keyboard.press("j");
  const card = page.locator("article").filter({ has: page.locator(`a[data-feature="${first}"]`) });
  const source = () => card.locator("img").getAttribute("src");
  const before = await source();
  await page.keyboard.press("n");
  await expect.poll(source).not.toBe(before);
  await page.keyboard.press("h");
  await expect(card.locator("canvas")).toHaveCSS("opacity", "0");
  await page.keyboard.press("h");
  await page.keyboard.press("c");
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toMatch(new RegExp(`/${first}$`));
  await page.keyboard.press("s");
  await expect(page).toHaveURL(/\/steer\?/);
  await expect(page.getByRole("main")).toContainText(formatIndex(first ?? 0, dictionary.numLatents));
});

/** What a catalogue may hold that the demo's does not: long, missing and right-to-left labels, features without pictures. */
function oddCards(card: FeatureCard): FeatureCard[] {
  const words = Array.from({ length: 40 }, (_, i) => `word${i}`).join(" ");
  return [
    { ...card, index: 1, label: words },
    { ...card, index: 2, label: "x".repeat(300) },
    { ...card, index: 3, label: "לימון צהוב על שולחן", concept: "object" },
    { ...card, index: 4, label: null, concept: null, iou: null, steer: null },
    { ...card, index: 5, label: null, concept: null, density: 0, iou: null, steer: null, maxActivation: 0, dead: true, images: 0, top: [] },
    { ...card, index: 6, density: null, maxActivation: null, alwaysOn: true, sink: true, textDensity: 0.5, top: [] },
    { ...card, index: 7, density: 1e-7, maxActivation: 123_456 },
  ].map((odd): FeatureCard => ({ ...odd, concept: odd.concept as FeatureCard["concept"], match: null }));
}

for (const width of [1440, 390]) {
  test(`odd features keep a list calm at ${width} px, in grid and table`, async ({ page, catalogue }) => {
    await page.setViewportSize({ width, height: 900 });
    const odd = oddCards(catalogue.card);
    await page.route(/\/api\/features\?.*q=odd/, (route) =>
      route.fulfill({ json: { items: odd, next: null, previous: null, total: odd.length, meaning: null } }),
    );
    await open(page, routes.dictionary(catalogue.dictionary.ref));
    await page.getByRole("searchbox", { name: "Search features" }).and(page.locator(":visible")).fill("odd");
    await expect(cards(page)).toHaveCount(odd.length);
    await expect(cards(page).filter({ hasText: "never fires" })).toHaveCount(1);
    await expect(cards(page).filter({ hasText: "no explanation" })).toHaveCount(1);
    const fits = async () => {
      await expectNoSidewaysScrolling(page);
      await expectNoGraveViolations(page);
    };
    const heights = await page
      .locator("main article")
      .evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().height)));
    expect(new Set(heights).size, `cards as high as each other: ${heights}`).toBe(1);
    const inside = await page
      .locator("main article")
      .evaluateAll((all) => all.every((one) => one.scrollWidth <= Math.ceil(one.getBoundingClientRect().width)));
    expect(inside, "nothing leaves its card").toBe(true);
    await fits();
    await page.getByRole("radio", { name: "Table" }).click();
    await expect(page.getByRole("table")).toContainText("never fires");
    const rows = await page.locator("tr[data-row]").evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().height)));
    expect(new Set(rows).size, `rows as high as each other: ${rows}`).toBe(1);
    await fits();
  });
}

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
