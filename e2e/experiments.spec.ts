/** Saved experiments, on the real model: a run is saved, opened, run again, forked, framed and found. */
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { APIRequestContext, Page } from "@playwright/test";
import type { Experiment, ExperimentSummary } from "../lib/core/experiment";
import type { EngineEvent, GenerateRequestInput } from "../lib/core/protocol";
import type { FeaturePage } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { sharp } from "../lib/sharp";
import { type Catalogue, expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";

test.describe.configure({ mode: "default" });

test.beforeEach(({ catalogue }) => {
  expect(catalogue.dictionary.engine, "the demo's engine is part of what is tested").toBe("ready");
});

const answer = (page: Page, name: "Steered" | "Baseline") => page.getByRole("region", { name: `${name} answer` });
const words = async (page: Page, name: "Steered" | "Baseline") =>
  (await answer(page, name).first().getByRole("toolbar").getByRole("button").allInnerTexts()).join(" ");

/** The feature that steers best, and a picture on which it does not fire. */
async function subject({ dictionary }: Catalogue, request: APIRequestContext): Promise<{ feature: number; label: string; image: string }> {
  const list = routes.api.features({ dictionary: dictionary.ref, sort: "-steer", concept: "object", limit: 20 });
  const { items } = (await (await request.get(list)).json()) as FeaturePage;
  const [first] = items;
  const other = items.find(({ label, top }) => label !== first?.label && top.length > 0);
  const image = other?.top.find((example) => !first?.top.some((own) => own.image === example.image))?.image;
  if (!first?.label || !image) throw new Error("The dictionary under test holds no scored object feature.");
  return { feature: first.index, label: first.label, image };
}

/** Runs a request to its end by the API and gives the server's name for the run. */
async function run(request: APIRequestContext, body: GenerateRequestInput): Promise<string> {
  const stream = await (await request.post(routes.api.steer(), { data: body })).text();
  const events = stream
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as EngineEvent);
  expect(events.at(-1)).toEqual({ type: "done" });
  const meta = events.find((event) => event.type === "meta");
  return meta?.run ?? "";
}

async function clamped(catalogue: Catalogue, request: APIRequestContext, text = "what do you see ?"): Promise<GenerateRequestInput> {
  const { feature, image } = await subject(catalogue, request);
  return {
    dictionary: catalogue.dictionary.ref,
    messages: [
      {
        role: "user",
        content: [
          { type: "image", image: { sha256: image } },
          { type: "text", text },
        ],
      },
    ],
    interventions: [{ feature, value: 4 }],
    controls: ["baseline", "random"],
  };
}

async function save(request: APIRequestContext, data: { run: string; title?: string; note?: string; pictures?: string[] }) {
  const response = await request.post(routes.api.experiments(), { data });
  return { status: response.status(), body: (await response.json()) as ExperimentSummary & { error?: { code: string; message: string } } };
}

test("a run is saved in the sandbox, opens as it was, and matches token for token when it is run again", async ({
  page,
  catalogue,
  request,
}) => {
  // Three runs of the model and three pages, one after another.
  test.slow();
  const { feature, label, image } = await subject(catalogue, request);
  await open(page, routes.steer({ dictionary: catalogue.dictionary.ref, feature, image }));
  await page
    .getByRole("region", { name: "Clamps" })
    .getByRole("button", { name: /^Make it see this/ })
    .first()
    .click();
  await expect(page.getByRole("button", { name: "Save", exact: true })).toHaveCount(0);
  await page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first().click();
  await page.getByRole("button", { name: "Save", exact: true }).click({ timeout: 90_000 });
  const steered = await words(page, "Steered");
  const plain = await words(page, "Baseline");
  expect(steered).not.toBe(plain);

  const form = page.getByRole("dialog", { name: "Save this run" });
  await form.getByLabel("Title").fill("A thing that is not there");
  await form.getByLabel("Note").fill("Seen by the browser test.");
  await expectNoGraveViolations(page);
  await form.getByRole("button", { name: "Save for good" }).click();
  await form.getByRole("link", { name: "A thing that is not there" }).click();

  await expect(page.getByRole("heading", { level: 1 })).toHaveText("A thing that is not there");
  await expect(page).toHaveURL(/\/x\/[a-z2-7]{16}$/);
  expect(await words(page, "Steered")).toBe(steered);
  expect(await words(page, "Baseline")).toBe(plain);
  await expect(page.getByText("Seen by the browser test.")).toBeVisible();
  await expect(page.getByRole("region", { name: "Clamps" })).toContainText(label);
  await expect(
    answer(page, "Steered")
      .getByRole("button", { name: /differs from/ })
      .first(),
  ).toBeVisible();
  await expect(answer(page, "Steered").getByText(/Changed \d+ of \d+ image positions/)).toBeVisible();

  await page.getByRole("button", { name: "Replay" }).click();
  await expect(page.getByRole("region", { name: "Replay" })).toContainText(/It matches token for token: \d+ tokens in 2 answers\./, {
    timeout: 90_000,
  });
  await expect(page.getByRole("region", { name: "Replay" })).toContainText("are the ones that it was saved with");
  await expectNoGraveViolations(page);

  // Why it said so: the trace asks under the same clamps, and gets the same answer.
  const saved = page.url();
  await answer(page, "Steered").getByRole("toolbar").getByRole("button").first().focus();
  await page
    .getByRole("dialog", { name: /^Token/ })
    .getByRole("link", { name: "Why this word?" })
    .press("Enter");
  const said = page.getByRole("toolbar", { name: /^Words of the answer/ });
  await expect(said.getByRole("button", { pressed: true })).toHaveCount(1, { timeout: 90_000 });
  const plainly = (text: string) => text.replace(/\s+/g, " ").trim();
  await expect
    .poll(async () => plainly((await said.getByRole("button").allInnerTexts()).join(" ")), { timeout: 60_000 })
    .toBe(plainly(steered));
  await open(page, saved);

  // The fork is the same request, in the sandbox, to be changed.
  await page.getByRole("link", { name: "Fork" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Steer" })).toBeVisible();
  await expect(page.getByRole("region", { name: "Clamps" }).getByRole("listitem").first()).toContainText(label);
  await page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first().click();
  await expect(page.getByRole("button", { name: "Save", exact: true })).toBeVisible({ timeout: 90_000 });
  expect(await words(page, "Steered")).toBe(steered);
});

test("a replay says which hash differs, and which token", async ({ page, catalogue, request }) => {
  const { body } = await save(request, { run: await run(request, await clamped(catalogue, request)), title: "To be replayed elsewhere" });
  // The real engine's answer, as a server with other weights would sign it.
  await page.route(`**${routes.api.steer()}`, async (route) => {
    const response = await route.fetch();
    const lines = (await response.text()).trim().split("\n");
    let steered = 0;
    const changed = lines.map((line) => {
      const event = JSON.parse(line) as EngineEvent;
      if (event.type === "receipt") event.receipt.dictionary.sha256 = "f".repeat(64);
      if (event.type === "token" && event.arm === "steered" && steered++ === 1) Object.assign(event, { id: event.id + 1, text: " zebra" });
      return JSON.stringify(event);
    });
    await route.fulfill({ response, body: `${changed.join("\n")}\n` });
  });
  await open(page, routes.experiment(body.id));
  await page.getByRole("button", { name: "Replay" }).click();
  const verdict = page.getByRole("region", { name: "Replay" });
  await expect(verdict).toContainText("It does not match: 1 of 3 answers differs.", { timeout: 90_000 });
  const saved = catalogue.dictionary.sha256.slice(0, 12);
  await expect(verdict).toContainText(`The dictionary's hash differs: saved with ${saved}, run now with ffffffffffff.`);
  await expect(verdict).toContainText(/Steered: token 2 was “.+” and is now “zebra”\./);
  // What it answers now is there to be read.
  await expect(verdict.getByRole("region", { name: "Steered answer" })).toContainText("zebra");
  await expectNoGraveViolations(page);
});

test("an uploaded picture is kept with its experiment", async ({ page, catalogue, request }) => {
  // Another at every run: the catalogue may be kept, and has the last run's.
  const png = await sharp({ create: { width: 120, height: 90, channels: 3, background: `#${randomUUID().slice(0, 6)}` } })
    .png()
    .toBuffer();
  const dataUrl = `data:image/png;base64,${png.toString("base64")}`;
  const body = await clamped(catalogue, request, "what colour is the background ?");
  body.messages[0]?.content.splice(0, 1, { type: "image", image: { dataUrl } });
  const id = await run(request, body);
  const without = await save(request, { run: id });
  expect([without.status, without.body.error?.code]).toEqual([404, "image_not_found"]);
  expect(without.body.error?.message).toContain("was uploaded");
  const saved = await save(request, { run: id, title: "With a picture of its own", pictures: [dataUrl] });
  expect(saved.status).toBe(201);
  expect((await save(request, { run: id, title: "With a picture of its own", pictures: [dataUrl] })).status).toBe(200);
  const experiment = (await (await request.get(routes.api.experiment(saved.body.id))).json()) as Experiment;
  const [picture] = experiment.pictures;
  expect(picture).toMatchObject({ width: 120, height: 90, mime: "image/png" });
  expect(Buffer.compare(await (await request.get(routes.api.image(picture?.sha256 ?? ""))).body(), png)).toBe(0);
  await open(page, routes.experiment(saved.body.id));
  await page.getByRole("button", { name: "Replay" }).click();
  await expect(page.getByRole("region", { name: "Replay" })).toContainText("It matches token for token", { timeout: 90_000 });
});

test("it unfurls with its own picture, and is shared as link, frame, picture, data and commands", async ({
  page,
  catalogue,
  request,
  baseURL,
}) => {
  const { body } = await save(request, { run: await run(request, await clamped(catalogue, request)), title: "To be shared" });
  await open(page, routes.experiment(body.id));
  await expect(page).toHaveTitle("To be shared · Facet");
  const meta = (property: string) => page.locator(`meta[property="${property}"]`).getAttribute("content");
  expect(await meta("og:title")).toBe("To be shared");
  expect(await meta("og:description")).toContain(body.steered.slice(0, 20));
  for (const address of [
    (await meta("og:image")) ?? "",
    `${baseURL}${routes.api.featureCard(catalogue.dictionary.ref, catalogue.card.index)}`,
  ]) {
    const card = await request.get(address);
    expect([card.status(), card.headers()["content-type"], card.headers()["cross-origin-resource-policy"]]).toEqual([
      200,
      "image/png",
      "cross-origin",
    ]);
    const image = sharp(await card.body());
    expect(await image.metadata()).toMatchObject({ format: "png", width: 1200, height: 630 });
    // A blank one has no contrast at all.
    const { channels } = await image.stats();
    expect(Math.max(...channels.slice(0, 3).map(({ stdev }) => stdev))).toBeGreaterThan(20);
  }
  await page.getByRole("button", { name: "Share" }).click();
  const share = page.getByRole("dialog", { name: "Share this experiment" });
  const copied = async (name: string) => {
    await share.getByRole("button", { name, exact: true }).click();
    await expect(share.getByRole("button", { name: "Copied" })).toBeVisible();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    await expect(share.getByRole("button", { name, exact: true })).toBeVisible();
    return text;
  };
  expect(await copied("Copy link")).toBe(`${baseURL}${routes.experiment(body.id)}`);
  expect(await copied("Embed")).toContain(`<iframe src="${baseURL}${routes.embed.experiment(body.id)}" title="To be shared"`);
  expect(await copied("curl")).toContain(routes.api.steer());
  expect(await copied("Python")).toContain("import json, urllib.request");
  await expect(share.getByRole("link", { name: "JSON" })).toHaveAttribute("href", routes.api.experiment(body.id));
  await expect(share.getByRole("link", { name: "PNG card" })).toHaveAttribute("href", routes.api.experimentCard(body.id));
  await expectNoGraveViolations(page);
});

test.describe("in a frame of another site", () => {
  test.use({ expectedErrors: [/foreign request|frame-ancestors|Refused to frame|Framing/] });

  test("an experiment and a feature show, and no other page does", async ({ page, catalogue, request, baseURL }) => {
    const { body } = await save(request, { run: await run(request, await clamped(catalogue, request)), title: "To be framed" });
    const { ref } = catalogue.dictionary;
    const addresses = {
      experiment: routes.embed.experiment(body.id),
      feature: routes.embed.feature(ref, catalogue.card.index),
      other: routes.experiment(body.id),
    };
    const frames = Object.entries(addresses).map(
      ([name, path]) => `<iframe title="${name}" src="${baseURL}${path}" width="640" height="420"></iframe>`,
    );
    // Another origin: the same machine on another port.
    const host = createServer((_, response) => {
      response.setHeader("content-type", "text/html").end(`<!doctype html><title>elsewhere</title>${frames.join("")}`);
    });
    await new Promise<void>((resolve) => host.listen(0, "127.0.0.1", resolve));
    try {
      await page.goto(`http://127.0.0.1:${(host.address() as AddressInfo).port}/`);
      const inside = (title: string) => page.frameLocator(`iframe[title="${title}"]`);
      await expect(inside("experiment").getByRole("heading", { level: 1 })).toHaveText("To be framed");
      await expect(inside("experiment").getByRole("main")).toContainText(body.steered.slice(0, 12));
      await expect(inside("experiment").locator("mark").first()).toBeVisible();
      await expect(inside("experiment").getByRole("link", { name: "Open in Facet" })).toHaveAttribute("target", "_blank");
      await expect(inside("experiment").getByRole("banner")).toHaveCount(0);
      await expect(inside("feature").getByRole("heading", { level: 1 })).toContainText(catalogue.card.label ?? "");
      await expect(inside("feature").locator("canvas").first()).toBeVisible();
      await expect(inside("other").getByRole("heading", { level: 1 })).toHaveCount(0);
    } finally {
      host.close();
    }
  });
});

test("the list is searched by words of title, question, answer and feature, and its address keeps the search", async ({
  page,
  catalogue,
  request,
}) => {
  test.slow();
  const { label } = await subject(catalogue, request);
  const id = await run(request, await clamped(catalogue, request));
  // What earlier tests saved stays in their catalogue.
  const mark = `q${randomUUID().slice(0, 8)}`;
  const [wanted, other] = [`Quokkas of ${mark} in a list`, `Nothing like ${mark.toUpperCase()}x`];
  const { body } = await save(request, { run: id, title: wanted, note: `Marsupials of ${mark}m.` });
  const dark = await save(request, { run: id, title: other });
  await open(page, routes.experiments());
  const row = (title: string) => page.getByRole("main").getByRole("link", { name: title, exact: true });
  await expect(row(wanted)).toBeVisible();
  await expect(row(other)).toBeVisible();
  const box = page.getByRole("searchbox", { name: "Search experiments" });
  for (const search of [`quokka ${mark}`, `of ${mark}m`]) {
    await box.fill(search);
    await expect(page).toHaveURL(routes.experiments({ q: search }));
    await expect(row(wanted)).toBeVisible();
    await expect(row(other)).toHaveCount(0);
  }
  await box.fill(label);
  await expect(row(other)).toBeVisible();
  await box.fill("zzqxv");
  await expect(page.getByRole("main")).toContainText("No experiment has “zzqxv”.");
  await expectNoGraveViolations(page);
  await page.getByRole("button", { name: "Show all" }).click();
  await expect(row(other)).toBeVisible();
  // Found by its address, before any script.
  const found = await request.get(routes.experiments({ q: `quokka ${mark}` }));
  expect(await found.text()).toContain(routes.experiment(body.id));
  expect(await found.text()).not.toContain(routes.experiment(dark.body.id));
});

test("what cannot be saved is refused with a sentence, and nothing can be changed or removed", async ({ catalogue, request }) => {
  const unknown = await save(request, { run: "aaaaaaaaaaaaaaaa" });
  expect([unknown.status, unknown.body.error?.code]).toEqual([404, "run_not_found"]);
  const long = await save(request, { run: "aaaaaaaaaaaaaaaa", title: "x".repeat(201) });
  expect([long.status, long.body.error?.message]).toEqual([400, expect.stringContaining("title")]);
  const { body } = await save(request, { run: await run(request, await clamped(catalogue, request)), title: "To stay" });
  for (const method of ["PUT", "PATCH", "DELETE", "POST"]) {
    expect((await request.fetch(routes.api.experiment(body.id), { method })).status()).toBe(405);
  }
  const first = await request.get(routes.api.experiment(body.id));
  expect((await request.get(routes.api.experiment(body.id), { headers: { "If-None-Match": first.headers().etag ?? "" } })).status()).toBe(
    304,
  );
});

for (const [scheme, viewport] of [
  ["light", { width: 390, height: 844 }],
  ["dark", { width: 1440, height: 900 }],
  ["light", { width: 320, height: 640 }],
] as const) {
  test.describe(`${scheme}, ${viewport.width} px`, () => {
    test.use({ viewport, colorScheme: scheme, expectedErrors: [/404/] });
    test("its pages are accessible and fit, also where there is nothing to show", async ({ page, catalogue, request }) => {
      test.slow();
      const { body } = await save(request, {
        run: await run(request, await clamped(catalogue, request)),
        title: `A rather long title that has ${"words and ".repeat(9)}an-unbroken-${"word".repeat(12)}`.slice(0, 200),
      });
      for (const address of [
        routes.experiment(body.id),
        routes.experiments({ q: "zzqxv" }),
        routes.experiments(),
        routes.experiment("aaaaaaaaaaaaaaaa"),
        routes.embed.experiment(body.id),
        routes.embed.feature(catalogue.dictionary.ref, catalogue.card.index),
        routes.embed.experiment("aaaaaaaaaaaaaaaa"),
      ]) {
        await open(page, address);
        await expect(page.getByRole("heading", { level: 1 }), address).toHaveCount(1);
        await expect(page.locator("html"), address).toHaveAttribute("data-theme", scheme);
        await expectNoSidewaysScrolling(page);
        await expectNoGraveViolations(page);
      }
    });
  });
}
