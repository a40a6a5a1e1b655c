import { formatIndex } from "../lib/core/format";
import { routes } from "../lib/core/routes";
import { expect, open, test } from "./site";

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
