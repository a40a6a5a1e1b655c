import { formatActivation, formatIndex } from "../lib/core/format";
import type { Analysis } from "../lib/core/records";
import { coverage, decodeRegion } from "../lib/core/region";
import { rankByContrast } from "../lib/core/region-contrast";
import { routes } from "../lib/core/routes";
import { decodeMap, toDense } from "../lib/core/sparse-map";
import { drawnShare, expect, expectNoGraveViolations, hydrated, open, test } from "./site";

test("everything that fires on a picture: by row, by cell, held in the address", async ({ page, catalogue }) => {
  const { dictionary, card } = catalogue;
  const sha256 = card.top[0]?.image ?? "";
  await open(page, routes.image(sha256, { dictionary: dictionary.ref }));
  const rows = page.locator("[data-row]");
  await expect(rows.first()).toBeVisible();
  const all = await rows.count();
  expect(all).toBeGreaterThan(3);

  // A row looked at shows its heat; pressed, it holds it.
  const own = page.getByRole("link", { name: new RegExp(`^Open feature ${formatIndex(card.index, dictionary.numLatents)},`) });
  const row = page.getByRole("listitem").filter({ has: own }).locator("[data-row]");
  await row.click();
  await expect(row).toHaveAttribute("aria-pressed", "true");
  await expect(page).toHaveURL(new RegExp(`feature=${card.index}`));
  await expect.poll(() => drawnShare(page, "main [role=slider] canvas")).toBeGreaterThan(0.005);

  // A cell looked at narrows the list to what fires there.
  const box = await page.locator("main [role=slider] img").boundingBox();
  if (!box) throw new Error("The picture is not on screen.");
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await expect(page.getByText(/^Row \d+, column \d+: /)).toBeVisible();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await expect(page).toHaveURL(/cell=\d+/);
  await page.reload();
  const release = page.getByRole("button", { name: /^Release/ });
  await expect(release).toBeVisible();
  await hydrated(page);
  await release.click();
  await expect(page).not.toHaveURL(/cell=/);
});

test("a feature's page and its picture's lead to each other", async ({ page, catalogue }) => {
  const { dictionary, card } = catalogue;
  await open(page, routes.feature(dictionary.ref, card.index));
  await page.getByRole("link", { name: "What else fires on this picture" }).click();
  await expect(page).toHaveURL(/\/i\/[0-9a-f]{64}/);
  await page.getByRole("link", { name: new RegExp(`^Open feature ${formatIndex(card.index, dictionary.numLatents)},`) }).click();
  await expect(page).toHaveURL(new RegExp(`/${card.index}(\\?|$)`));
});

test("a painted region: what fires inside and not outside as the arithmetic has it, undone and restored, and other pictures with the same there", async ({
  page,
  request,
  catalogue,
}) => {
  const { dictionary, card } = catalogue;
  const sha256 = card.top[0]?.image ?? "";
  await open(page, routes.image(sha256, { dictionary: dictionary.ref }));
  await page.getByRole("button", { name: "Paint a region" }).click();
  await page.getByRole("radio", { name: /^Box/ }).click();
  const surface = page.locator("[data-surface]");
  const box = await surface.boundingBox();
  if (!box) throw new Error("The picture is not on screen.");
  // A quarter of the picture, drawn with the mouse.
  await page.mouse.move(box.x + box.width * 0.25, box.y + box.height * 0.25);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + box.height * 0.75, { steps: 4 });
  await page.mouse.up();
  await expect(page).toHaveURL(/region=12x12\./);
  const region = decodeRegion(new URL(page.url()).searchParams.get("region") ?? "");
  if (!region) throw new Error("The address has no region.");
  const cover = coverage(region);
  expect(cover.reduce((sum, share) => sum + share, 0)).toBe(36);

  const answer = await request.post(routes.api.analyse(), { data: { dictionary: dictionary.ref, image: { sha256 }, limit: 512 } });
  const analysis = (await answer.json()) as Analysis;
  const features = analysis.features.map(({ index, label, map }) => ({ index, label, dense: toDense(decodeMap(map), 12, 12) }));
  const expected = rankByContrast(features, cover);
  const rows = page.locator("[data-contrast-list] [data-row]");
  await expect(page.getByText("Looking for weaker features…")).toHaveCount(0);
  for (const [i, { feature, contrast, inside, outside }] of expected.slice(0, 6).entries()) {
    const numbers = [contrast, inside, outside].map((value) => formatActivation(value));
    await expect(rows.nth(i)).toHaveAttribute(
      "aria-label",
      `${feature.label ?? "unexplained"}, contrast ${numbers[0]}, inside ${numbers[1]}, outside ${numbers[2]}`,
    );
  }
  await rows.first().focus();
  await expect.poll(() => drawnShare(page, "main [role=application] canvas")).toBeGreaterThan(0.005);

  await page.getByRole("button", { name: /^Find pictures with these 5 features there/ }).click();
  await expect(page.getByText(/Looked through: \d+ stored examples/)).toBeVisible();
  const found = page.getByRole("link", { name: /of 5 features/ }).first();
  await expect(found).toBeVisible();
  expect(await found.getAttribute("href")).not.toContain(sha256);
  await expectNoGraveViolations(page);

  await page.keyboard.press("Control+z");
  await expect(page.getByText("Paint over a part of the picture")).toBeVisible();
  await page.keyboard.press("Control+Shift+z");
  await expect(rows.first()).toBeVisible();
  await page.reload();
  await expect(rows.first()).toHaveAttribute("aria-label", /, contrast /);

  // By keyboard on the reloaded page: nothing painted, then one cell.
  await hydrated(page);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByRole("application").press("ArrowDown");
  await page.keyboard.press("Space");
  await expect(page.getByText(/^0\.69 % of the picture painted/)).toBeVisible();
});
