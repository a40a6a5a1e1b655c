import type { ExperimentSummary } from "../lib/core/experiment";
import { formatIndex } from "../lib/core/format";
import type { FeaturePage } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";

test("says what this is, lists the dictionaries with their numbers, and leads into one", async ({ page, catalogue }) => {
  await open(page, routes.home());
  const main = page.getByRole("main");
  for (const { ref, hook, metrics } of catalogue.dictionaries) {
    const link = main.locator(`a[href^="${routes.dictionary(ref)}"]`).first();
    await expect(link).toBeVisible();
    await expect(main).toContainText(hook);
    if (metrics.explainedVariance !== null) await expect(main).toContainText(/explained/i);
  }
  // Features worth opening.
  const features = main.locator(`a[href^="${routes.dictionary(catalogue.dictionary.ref)}/"]`);
  expect(await features.count()).toBeGreaterThanOrEqual(3);

  await main
    .locator(`a[href^="${routes.dictionary(catalogue.dictionary.ref)}?"]`)
    .or(main.locator(`a[href="${routes.dictionary(catalogue.dictionary.ref)}"]`))
    .first()
    .click();
  await expect(page).toHaveURL(new RegExp(`${routes.dictionary(catalogue.dictionary.ref)}(\\?|$)`));
  await expect(page.locator("a[data-feature]").first()).toBeVisible();
});

test("points to different things by name, and to searches that find", async ({ page, catalogue }) => {
  await open(page, routes.home());
  const names = await page.getByRole("region", { name: "Start here" }).getByRole("heading", { level: 3 }).allTextContents();
  expect(names).toHaveLength(3);
  expect(new Set(names).size).toBe(3);
  expect(names.filter((name) => /background|left|right|top|bottom/i.test(name))).toEqual([]);
  const tries = page.getByRole("search").getByRole("button");
  expect(await tries.count()).toBe(3);
  const text = (await tries.first().textContent()) ?? "";
  const [, words, total] = /^(.*\D) ?([\d,]+)$/.exec(text) ?? [];
  await tries.first().click();
  await expect(page.getByRole("search").locator("a[data-feature]").first()).toHaveAccessibleName(new RegExp(words?.trim() ?? "", "i"));
  await expect(page.getByRole("search")).toContainText(new RegExp(`${total} features?`));
  if (catalogue.dictionary.engine === "ready") {
    const steer = page.getByRole("region", { name: "Start here" }).getByRole("link", { name: "Steer it" }).first();
    await steer.click();
    // The sandbox keeps its whole request in its address.
    await expect(page).toHaveURL(/\/steer\?.*r=/);
    await expect(page.getByRole("main")).toContainText(names[0] ?? "");
  }
});

test("its search box finds", async ({ page, catalogue }) => {
  await open(page, routes.home());
  const word = catalogue.card.label?.split(" ").at(-1) ?? "";
  const box = page.getByRole("main").getByRole("searchbox").or(page.getByRole("main").getByRole("combobox")).first();
  await box.fill(word);
  await box.press("Enter");
  await expect(page).toHaveURL(/[?&]q=/);
  await expect(page.locator("a[data-feature]").first()).toHaveAccessibleName(new RegExp(word, "i"));
});

test("the theme is chosen, and kept over a reload without a flash", async ({ page }) => {
  await open(page, routes.home());
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  for (const name of ["Dark", "Light"]) {
    await page.getByRole("banner").getByRole("button", { name: /theme/i }).click();
    await page.getByRole("menuitemradio", { name }).click();
    await expect.poll(theme).toBe(name.toLowerCase());
    await page.reload({ waitUntil: "commit" });
    await page.locator("body").waitFor({ state: "attached" });
    expect(await theme()).toBe(name.toLowerCase());
  }
});

test("the palette opens by key and jumps to a feature", async ({ page, catalogue }) => {
  await open(page, routes.home());
  await page.keyboard.press("ControlOrMeta+k");
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("combobox").fill(`#${catalogue.card.index}`);
  const { dictionary, card } = catalogue;
  const option = dialog.getByRole("option", { name: `Feature ${formatIndex(card.index, dictionary.numLatents)}` });
  await expect(option).toBeVisible();
  await expect(option).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/${catalogue.card.index}(\\?|$)`));
});

test("the palette leads to one's own picture, by the dictionary at hand", async ({ page, catalogue }) => {
  const { dictionary } = catalogue;
  await open(page, routes.dictionary(dictionary.ref));
  await page.keyboard.press("ControlOrMeta+k");
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("combobox").fill("your picture");
  await dialog.getByRole("option", { name: "Your picture: what fires on it" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Your picture" })).toBeVisible();
  await expect(page).toHaveURL((url) => `${url.pathname}${url.search}` === routes.ownImage({ dictionary: dictionary.ref }));
});

test("shows the newest saved experiment, its answer before and after", async ({ page, catalogue, request }) => {
  const { dictionary } = catalogue;
  expect(dictionary.engine, "the demo's engine is part of what is tested").toBe("ready");
  const list = routes.api.features({ dictionary: dictionary.ref, sort: "-steer", concept: "object", limit: 20 });
  const { items } = (await (await request.get(list)).json()) as FeaturePage;
  const [first] = items;
  const image = items.find(({ label, top }) => label !== first?.label && top.length > 0)?.top[0]?.image;
  const content = [
    { type: "image", image: { sha256: image } },
    { type: "text", text: "what do you see ?" },
  ];
  const asked = { dictionary: dictionary.ref, messages: [{ role: "user", content }], interventions: [{ feature: first?.index, value: 4 }] };
  const stream = await (await request.post(routes.api.steer(), { data: asked })).text();
  const run = /"run":"([^"]+)"/.exec(stream)?.[1];
  const title = `On the home page ${Date.now()}`;
  const saved = (await (await request.post(routes.api.experiments(), { data: { run, title } })).json()) as ExperimentSummary;
  expect(saved.steered, "the best steered feature changes the answer").not.toBe(saved.baseline);

  await open(page, routes.home());
  const region = page.getByRole("region", { name: /saved experiment/ });
  await expect(region).toContainText(`Steered: ${saved.steered}`);
  await expect(region).toContainText(`Baseline: ${saved.baseline}`);
  await expectNoSidewaysScrolling(page);
  await expectNoGraveViolations(page);
  await region.getByRole("link", { name: title }).click();
  await expect(page).toHaveURL(routes.experiment(saved.id));
  await page.goBack();
  await region.getByRole("link", { name: "All saved experiments" }).click();
  await expect(page).toHaveURL(routes.experiments());
});
