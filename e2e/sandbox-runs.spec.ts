/** Runs in the sandbox: the dose curve, tokens over the arms, two tabs, an engine that is busy or dies half-way. */
import type { Page } from "@playwright/test";
import { routes } from "../lib/core/routes";
import { type Catalogue, expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";

const runButton = (page: Page) => page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first();
const answer = (page: Page, name: "Steered" | "Baseline") => page.getByRole("region", { name: `${name} answer` });
const words = async (page: Page, name: "Steered" | "Baseline") =>
  (await answer(page, name).getByRole("toolbar").getByRole("button").allInnerTexts()).join(" ");
const start = (catalogue: Catalogue) =>
  routes.steer({ dictionary: catalogue.dictionary.ref, feature: catalogue.card.index, image: catalogue.card.top[0]?.image });

async function answered(page: Page) {
  for (const name of ["Steered", "Baseline"] as const) {
    await expect(answer(page, name).getByText("Receipt").first()).toBeVisible({ timeout: 60_000 });
  }
}

test.describe.configure({ mode: "default" });

test.describe("a dose curve", () => {
  // A word that the model has no token for is asked for once, and refused.
  test.use({ expectedErrors: [/422/] });

  test("is drawn at one press, opens each point, and keeps it in the address", async ({ page, context, catalogue }) => {
    await open(page, start(catalogue));
    await page.getByRole("button", { name: /^Dose curve/ }).click();
    const curve = page.getByRole("region", { name: /^Dose curve of/ });
    await expect(curve.getByText(/^(The answer changes at|No strength)/)).toBeVisible({ timeout: 90_000 });
    const points = curve.getByRole("list", { name: "Answers by strength" }).getByRole("listitem");
    await expect(points).toHaveCount(7);
    await expect(curve.getByRole("img", { name: /^Against the strength of/ })).toBeVisible();
    // Set to nothing, a feature that is there is taken away; the receipt of that point says what was done.
    const second = points.nth(1).getByRole("button").first();
    await second.focus();
    await page.keyboard.press("Enter");
    await expect(second).toHaveAttribute("aria-expanded", "true");
    await expect(points.nth(1)).toContainText(/Changed \d+ of \d+ image positions|Nothing was changed/);
    await expectNoGraveViolations(page);
    await expectNoSidewaysScrolling(page);

    // A word that the model knows is drawn; one that it does not is said, and the answers come all the same.
    const box = curve.getByRole("textbox", { name: "Follow another word" });
    await box.fill("background");
    await box.press("Enter");
    await expect(curve.getByText(/“background” \(baseline|^“background”/).first()).toBeVisible({ timeout: 90_000 });
    await box.fill("zzyzx");
    await box.press("Enter");
    await expect(curve.getByText("The model has no token for “zzyzx”")).toBeVisible({ timeout: 90_000 });
    await expect(points.nth(6)).toContainText(/background \d|background </);

    const strengths = curve.getByRole("textbox", { name: "Strengths" });
    await strengths.fill("1, 1e9");
    await expect(curve.getByText("1e9 is outside −1,000 to 1,000.")).toBeVisible();
    await strengths.fill("0, 8");
    await strengths.press("Enter");
    await expect(points).toHaveCount(2);

    // Another tab opens the same curve.
    const other = await context.newPage();
    await open(other, page.url());
    await runButton(other).click();
    await expect(other.getByRole("region", { name: /^Dose curve of/ }).getByRole("listitem")).toHaveCount(2, { timeout: 90_000 });
    await other.close();
    await curve.getByRole("button", { name: "Remove the dose curve" }).click();
    await expect(curve).toBeHidden();
  });
});

test("shows for a token what each arm might have written, and the features on it, by key too", async ({ page, catalogue }) => {
  await open(page, start(catalogue));
  await runButton(page).click();
  await answered(page);
  const tokens = answer(page, "Steered").getByRole("toolbar").getByRole("button");
  await tokens.first().focus();
  const panel = page.getByRole("dialog", { name: /^Token/ });
  await expect(panel.getByRole("columnheader")).toHaveText(["Word", "Steered", "Baseline"]);
  await expect(panel.getByRole("row")).not.toHaveCount(0);
  await expect(panel).toContainText("Active on this token");
  const link = panel.getByRole("link").first();
  await expect(link).toHaveAttribute("href", new RegExp(routes.feature(catalogue.dictionary.ref, 0).replace(/0$/, "\\d+")));
  await page.keyboard.press("ArrowRight");
  await expect(tokens.nth(1)).toBeFocused();
  // Enter goes into the panel, Escape back to the token.
  await page.keyboard.press("Enter");
  await expect(panel).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(panel.getByRole("link").first()).toBeFocused();
  await expectNoGraveViolations(page);
  await page.keyboard.press("Escape");
  await expect(panel).toBeHidden();
  await expect(tokens.nth(1)).toBeFocused();
  // The pointer may go from the token into its panel, to a link.
  await tokens.nth(2).hover();
  await panel.getByRole("link").first().hover();
  await page.waitForTimeout(400);
  await expect(panel).toBeVisible();
});

test("runs in two tabs at once, each with its own request and answers", async ({ page, context, catalogue }) => {
  await open(page, start(catalogue));
  const other = await context.newPage();
  await open(other, start(catalogue));
  await other.getByRole("textbox", { name: "Question" }).fill("How many things are there?");
  await Promise.all([runButton(page).click(), runButton(other).click()]);
  await Promise.all([answered(page), answered(other)]);
  expect(await words(page, "Baseline")).not.toBe(await words(other, "Baseline"));
  await page.reload();
  await expect(page.getByRole("textbox", { name: "Question" })).toHaveValue("What do you see?");
  await expect(other.getByRole("textbox", { name: "Question" })).toHaveValue("How many things are there?");
  await other.close();
});

test.describe("an engine in trouble", () => {
  test.use({ expectedErrors: [/503|ERR_|Failed to load/] });

  test("that dies half-way leaves what was written, says so, and loses nothing", async ({ page, catalogue }) => {
    await open(page, start(catalogue));
    await page.getByRole("textbox", { name: "Question" }).fill("What do you see ?");
    // The real answer, cut in the middle of a line.
    await page.route("**/api/steer", async (route) => {
      const response = await route.fetch();
      const body = await response.text();
      await route.fulfill({ response, body: body.slice(0, Math.floor(body.length / 2)) });
    });
    await runButton(page).click();
    const alert = page.getByRole("main").getByRole("alert");
    await expect(alert).toContainText("The answer broke off before it was complete.");
    await expect(page.getByRole("region", { name: /answer$/ }).first()).toContainText("incomplete, no receipt");
    await expect(page.getByRole("textbox", { name: "Question" })).toHaveValue("What do you see ?");
    await page.unroute("**/api/steer");
    await alert.getByRole("button", { name: "Run again" }).click();
    await answered(page);
    await expect(alert).toHaveCount(0);
  });

  test("that is not there, or has too many requests waiting, is said with what to do", async ({ page, catalogue }) => {
    await open(page, start(catalogue));
    await page.route("**/api/steer", (route) => route.abort("connectionrefused"));
    await runButton(page).click();
    const alert = page.getByRole("main").getByRole("alert");
    await expect(alert).toContainText("The Facet server does not answer.");
    await expect(alert).toContainText("Check that it still runs, then run again.");
    await page.unroute("**/api/steer");
    // More requests than the line holds, again and again; nobody reads their answers.
    const leaving = new AbortController();
    const body = JSON.stringify({
      dictionary: catalogue.dictionary.ref,
      messages: [{ role: "user", content: [{ type: "text", text: "what do you see ?" }] }],
      sampling: { temperature: 5, maxTokens: 256 },
      controls: ["baseline", "reconstruction"],
    });
    const url = new URL(routes.api.steer(), page.url());
    const send = () =>
      fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body, signal: leaving.signal }).then(
        ({ status }) => status,
        () => 0,
      );
    const crowd = async () => {
      const statuses = new Set<number>();
      while (!leaving.signal.aborted) {
        for (const status of await Promise.all(Array.from({ length: 20 }, send))) statuses.add(status);
        await page.waitForTimeout(50);
      }
      return statuses;
    };
    const crowded = crowd();
    await expect(async () => {
      // One that found room in the line before is in nobody's way.
      if (await page.getByRole("main").getByRole("button", { name: "Stop", exact: true }).isVisible()) await page.keyboard.press("Escape");
      await runButton(page).click();
      await expect(alert).toContainText("already waiting", { timeout: 5_000 });
    }).toPass({ timeout: 60_000 });
    await expect(alert).toContainText("Wait a moment and run again.");
    leaving.abort();
    expect(await crowded).toContain(503);
    await alert.getByRole("button", { name: "Run again" }).click();
    await answered(page);
  });
});
