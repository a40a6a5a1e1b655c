import type { Page } from "@playwright/test";
import type { EngineEvent } from "../lib/core/protocol";
import type { FeatureCard, FeaturePage } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { type Catalogue, expect, open, test } from "./site";

const answer = (page: Page, name: "Steered" | "Baseline") => page.getByRole("region", { name: `${name} answer` });
const runButton = (page: Page) => page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first();
const clamp = (page: Page) => page.getByRole("region", { name: "Clamps" }).getByRole("listitem").first();
/** The words of an answer, as its buttons. */
const words = async (page: Page, name: "Steered" | "Baseline") =>
  (await answer(page, name).getByRole("toolbar").getByRole("button").allInnerTexts()).join(" ");

/** Resolves when both arms have their receipts. */
async function answered(page: Page) {
  for (const name of ["Steered", "Baseline"] as const) {
    await expect(answer(page, name).getByRole("group").or(answer(page, name).getByText("Receipt")).first()).toBeVisible({
      timeout: 60_000,
    });
  }
}

/** The object feature that steers best by the stored score, and a picture on which it does not fire. */
async function subject(catalogue: Catalogue, get: (url: string) => Promise<unknown>): Promise<{ card: FeatureCard; image: string }> {
  const ref = catalogue.dictionary.ref;
  const { items } = (await get(routes.api.features({ dictionary: ref, sort: "-steer", concept: "object", limit: 20 }))) as FeaturePage;
  const card = items.find(({ label, top }) => label && top.length > 0);
  const other = items.find(({ label, top }) => label !== card?.label && top.length > 0);
  const image = other?.top.find((example) => !card?.top.some((own) => own.image === example.image))?.image;
  if (!card || !image) throw new Error("The dictionary under test holds no scored object feature.");
  return { card, image };
}

test.describe.configure({ mode: "default" });

test.beforeEach(({ catalogue }) => {
  expect(catalogue.dictionary.engine, "the demo's engine is part of what is tested").toBe("ready");
});

test("from a feature to a changed answer with its receipt, and back by a link", async ({ page, context, catalogue, request }) => {
  const { dictionary } = catalogue;
  const { card, image } = await subject(catalogue, async (url) => (await request.get(url)).json());
  await open(page, routes.feature(dictionary.ref, card.index));
  await page.getByRole("region", { name: "Actions" }).getByRole("link", { name: "Steer this" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Steer" })).toBeVisible();
  await expect(clamp(page)).toContainText(card.label ?? "");

  // The same on a picture that does not show it.
  await open(page, routes.steer({ dictionary: dictionary.ref, feature: card.index, image }));
  await expect(clamp(page)).toContainText(card.label ?? "");
  await clamp(page)
    .getByRole("button", { name: /^Make it see this/ })
    .click();
  await runButton(page).click();
  await answered(page);

  const receipt = answer(page, "Steered");
  const sentence = await receipt.getByText(/Changed \d+ of \d+ image positions/).textContent();
  const [, changed, planned] = /Changed (\d+) of (\d+) image positions/.exec(sentence ?? "") ?? [];
  const grid = (dictionary.model.grid?.rows ?? 0) * (dictionary.model.grid?.cols ?? 0);
  expect(Number(planned)).toBe(grid);
  expect(Number(changed)).toBeGreaterThan(0);
  expect(Number(changed)).toBeLessThanOrEqual(grid);
  await expect(answer(page, "Baseline")).toContainText("nothing was changed");

  // The strongest feature by its own score changes the answer, and the differing words are marked.
  const steered = await words(page, "Steered");
  const plain = await words(page, "Baseline");
  expect(steered).not.toBe(plain);
  await expect(
    answer(page, "Steered")
      .getByRole("button", { name: /differs from/ })
      .first(),
  ).toBeVisible();

  // The link holds the whole request: another page gives the same answer.
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByRole("button", { name: "Copy link" }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain("/steer?");
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const other = await context.newPage();
  await open(other, link);
  await expect(clamp(other)).toContainText(card.label ?? "");
  await runButton(other).click();
  await answered(other);
  expect(await words(other, "Steered")).toBe(steered);
  expect(await words(other, "Baseline")).toBe(plain);
  await other.close();

  // And a reload keeps the request.
  await page.reload();
  await expect(clamp(page)).toContainText(card.label ?? "");
});

test("without a clamp the answer is the model's own", async ({ page, catalogue }) => {
  const image = catalogue.card.top[0]?.image;
  await open(page, routes.steer({ dictionary: catalogue.dictionary.ref, image }));
  await expect(page.getByText("No feature is clamped.")).toBeVisible();
  await runButton(page).click();
  await answered(page);
  expect(await words(page, "Steered")).toBe(await words(page, "Baseline"));
  await expect(answer(page, "Steered")).toContainText("no clamp");
});

test("a clamp that changes nothing is never called steered", async ({ page, catalogue, request }) => {
  const { dictionary } = catalogue;
  const { card, image } = await subject(catalogue, async (url) => (await request.get(url)).json());
  await open(page, routes.steer({ dictionary: dictionary.ref, feature: card.index, image }));
  // Its own activation, once: a scale by one is what is there already.
  await clamp(page)
    .getByRole("radio", { name: "Scale" })
    .or(clamp(page).getByRole("button", { name: "Scale" }))
    .click();
  const strength = clamp(page)
    .getByRole("textbox", { name: /^Strength of/ })
    .or(clamp(page).getByRole("spinbutton", { name: /^Strength of/ }));
  await strength.fill("1");
  await strength.press("Enter");
  await runButton(page).click();
  await answered(page);
  await expect(answer(page, "Steered").getByText("unchanged", { exact: true })).toBeVisible();
  await expect(answer(page, "Steered")).toContainText("Nothing was changed");
  expect(await words(page, "Steered")).toBe(await words(page, "Baseline"));
});

test("a clamp that would be applied nowhere is refused", async ({ page, catalogue }) => {
  await open(
    page,
    routes.steer({ dictionary: catalogue.dictionary.ref, feature: catalogue.card.index, image: catalogue.card.top[0]?.image }),
  );
  await page.getByRole("button", { name: "Remove the picture" }).click();
  await clamp(page).getByRole("button", { name: "Image", exact: true }).click();
  await runButton(page).click();
  await expect(page.getByRole("main")).toContainText(/picture/i);
  await expect(clamp(page)).toContainText(/picture|nowhere|no image/i);
  await expect(answer(page, "Steered")).toHaveCount(0);
});

test("Stop stops, and the sandbox can run again", async ({ page, catalogue }) => {
  await open(
    page,
    routes.steer({ dictionary: catalogue.dictionary.ref, feature: catalogue.card.index, image: catalogue.card.top[0]?.image }),
  );
  // A slow line, so that there is something to stop however fast the engine is.
  const session = await page.context().newCDPSession(page);
  const line = (latency: number) =>
    session.send("Network.emulateNetworkConditions", { offline: false, latency, downloadThroughput: -1, uploadThroughput: -1 });
  await session.send("Network.enable");
  await line(20_000);
  await runButton(page).click();
  const stop = page.getByRole("main").getByRole("button", { name: "Stop", exact: true });
  await stop.click();
  await expect(stop).toBeHidden();
  await expect(page.getByRole("main")).toContainText(/stopped/i);
  await line(0);
  await runButton(page).click();
  await answered(page);
});

test.describe("links that cannot be followed", () => {
  test.use({ expectedErrors: [/40\d/] });
  test("say so, and leave a page that works", async ({ page, catalogue }) => {
    await open(page, routes.steer({ r: "1.not-a-request" }));
    await expect(page.getByRole("main").getByRole("status").filter({ hasText: /\w/ }).first()).toBeVisible();
    await expect(runButton(page)).toBeVisible();
    await open(page, routes.steer({ dictionary: catalogue.dictionary.ref, feature: 9_999_999 }));
    await expect(page.getByRole("main").getByRole("status").filter({ hasText: /\w/ }).first()).toBeVisible();
    await expect(runButton(page)).toBeVisible();
  });
});

test.describe("POST /api/steer", () => {
  const body = (catalogue: Catalogue, more: object = {}) => ({
    dictionary: catalogue.dictionary.ref,
    messages: [
      {
        role: "user",
        content: [
          { type: "image", image: { sha256: catalogue.card.top[0]?.image } },
          { type: "text", text: "what is in the picture?" },
        ],
      },
    ],
    ...more,
  });

  test("streams small events, one a line, and ends with receipts and done", async ({ request, catalogue }) => {
    const interventions = [{ feature: catalogue.card.index, op: "ablate", value: 0, scope: { type: "all" } }];
    const response = await request.post(routes.api.steer(), { data: body(catalogue, { interventions }) });
    expect(response.status()).toBe(200);
    expect(response.headers()["content-type"]).toContain("application/x-ndjson");
    const lines = (await response.text()).trim().split("\n");
    const events = lines.map((line) => JSON.parse(line) as EngineEvent);
    expect(events.at(-1)).toEqual({ type: "done" });
    const receipts = events.flatMap((event) => (event.type === "receipt" ? [event.receipt] : []));
    expect(receipts.map(({ arm }) => arm).sort()).toEqual(["baseline", "steered"]);
    for (const { arm, text, tokens, dictionary } of receipts) {
      expect(dictionary.sha256).toBe(catalogue.dictionary.sha256);
      const own = events.flatMap((event) => (event.type === "token" && event.arm === arm ? [event] : []));
      expect(
        own
          .map((event) => event.text)
          .join("")
          .trim(),
      ).toBe(text.trim());
      expect(own.length).toBe(tokens);
    }
    expect(Math.max(...lines.filter((line) => line.includes('"token"')).map((line) => line.length))).toBeLessThan(1_500);
  });

  test("is deterministic, and a clamp applied nowhere is an error, never a text", async ({ request, catalogue }) => {
    const run = async () => (await request.post(routes.api.steer(), { data: body(catalogue) })).text();
    const texts = (stream: string) => stream.split("\n").flatMap((line) => (line.includes('"token"') ? [JSON.parse(line).text] : []));
    expect(texts(await run())).toEqual(texts(await run()));

    const nowhere = await request.post(routes.api.steer(), {
      data: {
        ...body(catalogue),
        messages: [{ role: "user", content: [{ type: "text", text: "what is in the picture?" }] }],
        interventions: [{ feature: catalogue.card.index, value: 4, scope: { type: "image" } }],
      },
    });
    expect(nowhere.status()).toBe(422);
    expect((await nowhere.json()).error.code).toBe("clamp_nowhere");
    const beyond = await request.post(routes.api.steer(), {
      data: body(catalogue, { interventions: [{ feature: 9_999_999, value: 4, scope: { type: "image" } }] }),
    });
    expect(beyond.status()).toBeGreaterThanOrEqual(400);
    expect(["clamp_nowhere", "feature_not_found"]).toContain((await beyond.json()).error.code);
  });

  test("a full queue answers that it is busy, and serves again", async ({ request, catalogue }) => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const response = await request.post(routes.api.steer(), { data: body(catalogue), timeout: 110_000 });
        return { status: response.status(), text: await response.text() };
      }),
    );
    const busy = answers.filter(({ status, text }) => status === 503 || text.includes('"engine_busy"'));
    const served = answers.filter(({ text }) => text.includes('"done"'));
    expect(busy.length).toBeGreaterThan(0);
    expect(served.length).toBeGreaterThan(0);
    expect(busy.length + served.length).toBe(40);
    expect((await request.post(routes.api.steer(), { data: body(catalogue) })).status()).toBe(200);
  });
});
