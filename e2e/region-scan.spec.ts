/** Every picture of the catalogue looked through by the model in the tab for a painted region: found beyond the stored examples, stopped, resumed, ranked anew. */
import type { Locator, Page } from "@playwright/test";
import type { FeatureDetail } from "../lib/core/records";
import { emptyRegion, encodeRegion, paintShape } from "../lib/core/region";
import { routes } from "../lib/core/routes";
import { drawnShare, expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";

const section = (page: Page) => page.getByRole("region", { name: "Every picture of the catalogue" });
const numbers = async (all: Locator) => {
  const [, looked = "0", total = "0"] = /([\d,]+) of ([\d,]+) pictures looked through/.exec((await all.textContent()) ?? "") ?? [];
  return { looked: Number(looked.replaceAll(",", "")), total: Number(total.replaceAll(",", "")) };
};
const foundOn = async (all: Locator) => {
  const hrefs = await all.getByRole("link").evaluateAll((links) => links.map((link) => link.getAttribute("href") ?? ""));
  return hrefs.map((href) => /\/i\/([0-9a-f]{64})/.exec(href)?.[1] ?? "");
};
const upper = encodeRegion(paintShape(emptyRegion(12, 12), { kind: "box", from: { x: 2, y: 2 }, to: { x: 8, y: 8 } }));

test("all pictures are looked through in the tab: progress, stop, resume, another region from memory, and nothing is told", async ({
  page,
  request,
  catalogue,
}) => {
  test.setTimeout(180_000);
  const { dictionary, card } = catalogue;
  const sha256 = card.top[0]?.image ?? "";
  await open(page, routes.image(sha256, { dictionary: dictionary.ref, region: upper }));
  const all = section(page);
  const asked: string[] = [];
  const told: string[] = [];
  page.on("request", (sent) => {
    const { pathname } = new URL(sent.url());
    // The tab's own requests for bytes: a picture that the page shows is another matter.
    if (/^\/api\/images\/[0-9a-f]{64}$/.test(pathname) && sent.resourceType() === "fetch") asked.push(pathname);
    if (sent.method() !== "GET" || /\/api\/(analyse|steer|region-pictures|features)/.test(pathname)) told.push(sent.url());
  });
  await expect(page.getByText("Looking for weaker features…")).toHaveCount(0);
  told.length = 0;
  await expect(all).toContainText(/\d+ MB will be fetched from this server first/);
  await all.getByRole("button", { name: "Look through all pictures" }).click();
  await expect.poll(async () => (await numbers(all)).looked, { timeout: 90_000 }).toBeGreaterThan(15);
  await expect(all).toContainText(/\d a second · .+ left/);
  await all.getByRole("button", { name: "Stop" }).click();
  await expect(all.getByRole("status").last()).toHaveText("Stopped. What was found stays, and it goes on from there.");
  const stopped = await numbers(all);
  expect(stopped.total).toBeGreaterThan(4_000);
  expect(stopped.looked).toBeLessThan(stopped.total / 2);
  expect(new Set(asked).size, "each picture is asked for once").toBe(asked.length);

  // Pictures that are no stored example of any of the features that were sought.
  const boxes = page.getByRole("checkbox", { checked: true });
  const sought = await boxes.evaluateAll((inputs) =>
    inputs.map((input) => Number(/#(\d+)/.exec(input.getAttribute("aria-label") ?? "")?.[1])),
  );
  expect(sought).toHaveLength(5);
  const details = await Promise.all(
    sought.map(async (index) => (await (await request.get(routes.api.feature(dictionary.ref, index))).json()) as FeatureDetail),
  );
  const examples = new Set(
    details.flatMap(({ examples }) =>
      Object.values(examples)
        .flat()
        .map(({ image }) => image),
    ),
  );
  const found = await foundOn(all);
  expect(found.length).toBeGreaterThan(3);
  expect(found).not.toContain(sha256);
  expect(found.filter((image) => !examples.has(image)).length, "found on pictures that are no stored examples").toBeGreaterThan(0);
  await expect.poll(() => drawnShare(page, "section[aria-labelledby=all-pictures] li canvas")).toBeGreaterThan(0.005);
  await expectNoGraveViolations(page);

  // Another region: ranked from what is in memory.
  const before = asked.length;
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByRole("radio", { name: /^Box/ }).click();
  const box = await page.locator("[data-surface]").boundingBox();
  if (!box) throw new Error("The picture is not on screen.");
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.55);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.95, box.y + box.height * 0.95, { steps: 4 });
  await page.mouse.up();
  await expect.poll(() => foundOn(all)).not.toEqual(found);
  expect((await foundOn(all)).length).toBeGreaterThan(3);
  expect([await numbers(all), asked.length]).toEqual([stopped, before]);

  // On from there.
  await all.getByRole("button", { name: "Resume" }).click();
  await expect.poll(async () => (await numbers(all)).looked, { timeout: 60_000 }).toBeGreaterThan(stopped.looked + 3);
  await all.getByRole("button", { name: "Stop" }).click();
  // But the bytes of the one that would have come next when it was stopped.
  expect(asked.length - new Set(asked).size, "none is asked for twice").toBeLessThanOrEqual(1);
  expect(told, "no server is told the region or the features").toEqual([]);
  await page.setViewportSize({ width: 390, height: 844 });
  await expectNoSidewaysScrolling(page);
});
