/** From a word of an answer back to its features, with the embedded model behind the page. */
import { readFile } from "node:fs/promises";
import type { Page } from "@playwright/test";
import type { AttributionResult } from "../lib/core/attribution";
import { type GenerateRequestInput, generateRequestSchema } from "../lib/core/protocol";
import { routes } from "../lib/core/routes";
import { encodeSteerLink, linkFromRequest, steerHref } from "../lib/core/steer-link";
import { traceHref } from "../lib/core/trace-link";
import { type Catalogue, drawnShare, expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";

/** A question about the card's picture, as addresses carry it. */
function asked({ dictionary, card }: Catalogue, more: Partial<GenerateRequestInput>): string {
  const request = generateRequestSchema.parse({
    dictionary: dictionary.ref,
    messages: [
      {
        role: "user",
        content: [
          { type: "image", image: { sha256: card.top[0]?.image } },
          { type: "text", text: "What do you see?" },
        ],
      },
    ],
    ...more,
  });
  return encodeSteerLink(linkFromRequest(request));
}

/** The trace of the first word of its answer. */
function traced(catalogue: Catalogue, view: Parameters<typeof traceHref>[2] = { token: 0 }) {
  return traceHref(catalogue.dictionary.ref, asked(catalogue, { controls: [] }), view);
}

const bars = (page: Page) => page.getByRole("list", { name: "Features by contribution" }).locator("> li");

async function measured(page: Page) {
  await expect(bars(page).first()).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText("Estimate and measurement agree")).toBeVisible({ timeout: 60_000 });
}

test.describe.configure({ mode: "default" });

test("ranks what made a word, shows where it was seen, and sums to the whole", async ({ page, catalogue }) => {
  await open(page, traced(catalogue));
  await measured(page);
  // The first of the list has both numbers, and they are the largest in size.
  const name = (await bars(page).first().getByRole("button").first().getAttribute("aria-label")) ?? "";
  expect(name).toMatch(/^1\. .+: [+−][\d.]+ estimated, [+−]?[\d.]+ measured, from the (picture|words|picture and words)$/);
  await expect.poll(() => drawnShare(page, "main aside canvas")).toBeGreaterThan(0);
  await expect(page.getByRole("list", { name: "Words and what each contributes" }).getByRole("listitem")).not.toHaveCount(0);
  // What stands above the line adds up to what stands below it, up to the rounding of each.
  const cells = await page.getByRole("table", { name: "The parts of the whole" }).getByRole("cell").allInnerTexts();
  const numbers = cells.map((text) => Number(text.replace("−", "-")));
  const whole = numbers.pop() ?? Number.NaN;
  const step = 10 ** -(cells[0]?.split(".")[1]?.length ?? 0);
  expect(Math.abs(numbers.reduce((sum, value) => sum + value, 0) - whole)).toBeLessThanOrEqual(numbers.length * step);
  await expectNoGraveViolations(page);
  await expectNoSidewaysScrolling(page);
  // By key along the list: the heat is of the feature in focus.
  const heat = page.getByRole("region", { name: "Where it comes from" }).getByRole("heading");
  await bars(page).first().getByRole("button").first().focus();
  await page.keyboard.press("ArrowDown");
  const second = await bars(page).nth(1).getAttribute("data-feature");
  await expect(bars(page).nth(1).getByRole("button").first()).toBeFocused();
  await expect(heat).toContainText(`#${second?.padStart(4, "0")}`);
  // The other method says its steps and what its sum nears.
  await page.getByRole("radio", { name: "Integrated, 16 steps" }).click();
  await expect(page).toHaveURL(/steps=16/);
  await expect(page.getByText(/without any feature: the features' sum nears the/)).toBeVisible({ timeout: 60_000 });
});

test("keeps all that is looked at in the address, and goes back through it", async ({ page, context, catalogue }) => {
  await open(page, traced(catalogue));
  await measured(page);
  const all = await bars(page).first().getAttribute("data-feature");
  await page.getByRole("radio", { name: "Words", exact: true }).click();
  await expect(page).toHaveURL(/where=text/);
  // What the filter brought to the top is measured too.
  await expect(bars(page).nth(19).getByRole("button").first()).toHaveAccessibleName(/ measured of the whole feature, from /, {
    timeout: 60_000,
  });
  const first = await bars(page).first().getAttribute("data-feature");
  await bars(page).first().getByRole("button").first().focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`feature=${first}`));

  const other = await context.newPage();
  await open(other, page.url());
  await expect(other.locator(`[data-feature="${first}"]`).getByRole("button", { expanded: true })).toBeVisible({ timeout: 60_000 });
  await other.close();

  await page.goBack();
  await page.goBack();
  await expect(page).not.toHaveURL(/where=/);
  await expect(bars(page).first()).toHaveAttribute("data-feature", all ?? "");
  await page.goForward();
  await expect(page.getByRole("radio", { name: "Words", exact: true })).toBeChecked();
  await page.goForward();
  await expect(page.locator(`[data-feature="${first}"]`).getByRole("button", { expanded: true })).toBeVisible();
});

test("removes a feature and asks again in place, and writes the list to files", async ({ page, catalogue }) => {
  await open(page, traced(catalogue));
  await measured(page);
  const row = bars(page).first();
  const feature = Number(await row.getAttribute("data-feature"));
  await row.getByRole("button").first().click();
  await expect(row.getByRole("link", { name: "Open feature" })).toHaveAttribute("href", routes.feature(catalogue.dictionary.ref, feature));
  await row.getByRole("button", { name: "Remove it and ask again" }).click();
  for (const name of ["Steered", "Baseline"]) {
    const answer = row.getByRole("region", { name: `${name} answer` });
    await expect(answer.getByText("Receipt").first()).toBeVisible({ timeout: 60_000 });
  }
  const save = async (item: RegExp) => {
    await page.getByRole("button", { name: "Export" }).click();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: item }).click()]);
    return readFile(await file.path(), "utf8");
  };
  const [head, top] = (await save(/^CSV/)).split("\r\n");
  expect(head).toMatch(/^rank,feature,label,concept,estimated,measured,/);
  expect(top).toMatch(new RegExp(`^1,${feature},`));
  const { result } = JSON.parse(await save(/^JSON/)) as { result: AttributionResult };
  expect(result.rows[0]?.feature).toBe(feature);
});

test("leads from a word in the sandbox to its trace, by key", async ({ page, catalogue }) => {
  const { dictionary, card } = catalogue;
  await open(page, routes.steer({ dictionary: dictionary.ref, feature: card.index, image: card.top[0]?.image }));
  await page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first().click();
  const baseline = page.getByRole("region", { name: "Baseline answer" });
  await expect(baseline.getByText("Receipt").first()).toBeVisible({ timeout: 60_000 });
  const token = baseline.getByRole("toolbar").getByRole("button").first();
  const word = (await token.textContent())?.trim() ?? "";
  await token.focus();
  await page
    .getByRole("dialog", { name: /^Token/ })
    .getByRole("link", { name: "Why this word?" })
    .press("Enter");
  await measured(page);
  const chosen = page.getByRole("toolbar", { name: /^Words of the answer/ }).getByRole("button", { pressed: true });
  await expect(chosen).toHaveText(word);
});

test("explains a control's word in that control's states, and leads to the steered answer", async ({ page, catalogue }) => {
  const { dictionary, card } = catalogue;
  const link = asked(catalogue, {
    interventions: [{ feature: card.index, op: "set", value: 4 }],
    sampling: { seed: 2 },
    controls: ["reconstruction", "negated", "random"],
  });
  await open(page, steerHref(dictionary.ref, link));
  await page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first().click();
  const answer = page.getByRole("region", { name: "Random feature answer" });
  await expect(answer.getByText("Receipt").first()).toBeVisible({ timeout: 60_000 });
  const token = answer.getByRole("toolbar").getByRole("button").first();
  const word = (await token.textContent())?.trim() ?? "";
  await token.focus();
  const why = page.getByRole("dialog", { name: /^Token/ }).getByRole("link", { name: "Why this word?" });
  await why.press("Enter");
  await measured(page);
  await expect(page).toHaveURL(/control=random/);
  await expect(page.getByText(/^The answer under the random control: .+ of seed 2, at equal norm: #\d+ for #\d+\./)).toBeVisible();
  await expect(page.getByRole("toolbar", { name: /^Words of the answer/ }).getByRole("button", { pressed: true })).toHaveText(word);
  await bars(page).first().getByRole("button").first().click();
  await expect(page.getByRole("button", { name: "Remove it and ask again" })).toHaveCount(0);
  await page.getByRole("button", { name: "Trace the steered answer" }).click();
  await measured(page);
  await expect(page).not.toHaveURL(/control=/);
  await expect(page.getByText(/^The answer under 1 clamp: #\d+ set to 4 × max on the picture\.$/)).toBeVisible();
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 } });

  test("draws the graph within the width", async ({ page, catalogue }) => {
    await open(page, traced(catalogue, { token: 0, view: "graph" }));
    const features = page.getByRole("list", { name: "Features", exact: true }).getByRole("button");
    await expect(features.first()).toBeVisible({ timeout: 60_000 });
    await expectNoSidewaysScrolling(page);
    await features.first().click();
    await expect(features.first()).toHaveAttribute("aria-pressed", "true");
    await expect(page).toHaveURL(/feature=\d+/);
  });
});

test("searches for clamps that bring the right answer while one looks elsewhere, and can be stopped", async ({ page, catalogue }) => {
  await open(page, traced(catalogue, { token: 0, view: "mend" }));
  const right = page.getByRole("textbox", { name: "The right answer" });
  await expect(right).toBeVisible({ timeout: 60_000 });
  await page.getByRole("group", { name: "Answers that the model nearly gave" }).getByRole("button").first().click();
  const wanted = await right.inputValue();
  expect(wanted).not.toBe("");
  await expect.poll(() => new URL(page.url()).searchParams.get("right")).toBe(wanted);
  await page.getByRole("button", { name: "Mend it", exact: true }).click();
  const search = page.getByText(/^(Trying single clamps|Counting what it costs): /);
  await expect(search).toBeVisible({ timeout: 60_000 });
  // Another comparison has other bars; the search is still for the answer that it began with.
  await page.getByRole("button", { name: "by itself" }).click();
  await page.getByRole("radio", { name: "Bars" }).click();
  await expect(page.getByText(`Mending to “${wanted}”.`, { exact: true })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByText(`Mending to “${wanted}”.`, { exact: true })).toHaveCount(0);
  await page.getByRole("radio", { name: "Mend it" }).click();
  await expect(page.getByText("Stopped. Nothing was kept of the search.")).toBeVisible({ timeout: 60_000 });
  await expect(right).toHaveValue(wanted);
});
