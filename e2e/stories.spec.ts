/** The guided stories: from the home page through each step to the saved experiment, and its replay. */
import type { Experiment } from "../lib/core/experiment";
import { routes } from "../lib/core/routes";
import { expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";

const names = ["An emotion turned", "A hallucination traced and removed", "A written word that overrides the picture"];

test("a story is clicked through: its question, the trace, the feature, the clamp, the new answer, and its replay", async ({ page }) => {
  await open(page, routes.home());
  const section = page.getByRole("region", { name: /^Why did it say that/ });
  await expect(section.getByRole("heading", { level: 3 })).toHaveText(names);
  await section.getByRole("link", { name: names[2] as string }).click();
  await expect(page).toHaveURL(routes.stories({ story: "written" }));
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(names[2] as string);
  const steps = page
    .getByRole("main")
    .getByRole("listitem")
    .filter({ has: page.getByRole("heading", { level: 2 }) });
  await expect(steps.getByRole("heading")).toHaveText(["The question", "Why this word?", "The feature", "The clamp", "The new answer"]);
  const feature = /“([^“”]+)” #(\d+)/.exec((await steps.nth(1).textContent()) ?? "");

  await steps.nth(1).getByRole("link", { name: "Trace the word “yes”" }).click();
  await expect(page).toHaveURL(/\/trace\?.*token=0/);
  await expect(page.getByRole("main")).toContainText(feature?.[1] as string, { timeout: 60_000 });
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(names[2] as string);

  await steps.nth(2).getByRole("link").click();
  await expect(page).toHaveURL(new RegExp(`/d/[^?]+/${Number(feature?.[2])}$`));
  await expect(page.getByRole("heading", { level: 1 })).toContainText(feature?.[1] as string);
  await page.goBack();

  await expect(steps.nth(3).getByRole("link", { name: "Set it up in the sandbox" })).toHaveAttribute("href", /^\/steer\?.*r=1\./);
  await expect(steps.nth(4)).toContainText(/Probability of “no”, from the run’s receipts: [\d.]+ % before, [\d.]+ % after/);
  await steps
    .nth(4)
    .getByRole("link", { name: /saved experiment/ })
    .click();
  await expect(page).toHaveURL(/\/x\/[a-z2-7]{16}$/);
  await page.getByRole("button", { name: "Replay" }).click();
  await expect(page.getByText(/It matches token for token/)).toBeVisible({ timeout: 60_000 });
});

test("every story is reached by the keyboard, fits a phone, and its experiment is what it tells", async ({ page, request }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, routes.stories());
  for (const [i, name] of names.entries()) {
    const link = page.getByRole("navigation", { name: "Stories" }).getByRole("link").nth(i);
    await link.focus();
    await page.keyboard.press("Enter");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
    await expect(link).toHaveAttribute("aria-current", "page");
    if (i === 0) {
      await page.getByText("How it was found").focus();
      await page.keyboard.press("Enter");
    }
    // It stays open from one story to the next.
    await expect(page.getByText("npx tsx bench/stories.ts")).toBeVisible();
    await expectNoSidewaysScrolling(page);
    const href = (await page.getByRole("link", { name: /saved experiment/ }).getAttribute("href")) ?? "";
    const saved = (await (await request.get(routes.api.experiment(href.split("/").at(-1) as string))).json()) as Experiment;
    await expect(page.getByRole("main")).toContainText(`Probability of “${saved.steered}”, from the run’s receipts`);
    expect(saved.baseline).not.toBe(saved.steered);
  }
  await expectNoGraveViolations(page);
});
