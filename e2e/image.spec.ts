import { formatIndex } from "../lib/core/format";
import { routes } from "../lib/core/routes";
import { drawnShare, expect, hydrated, open, test } from "./site";

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
