/** Steering in the visitor's own tab: by choice, and on a server that runs no model. It answers as the server's engine does, and nothing is sent. */
import type { Page } from "@playwright/test";
import type { RunState } from "../components/steer/run-state";
import type { EngineEvent, Receipt } from "../lib/core/protocol";
import { routes } from "../lib/core/routes";
import { decodeSteerLink, linkInHash, requestFromLink } from "../lib/core/steer-link";
import { type OwnServer, startOwnServer } from "./own-server";
import { expect, expectNoGraveViolations, expectNoSidewaysScrolling, open, test } from "./site";
import { panel, ready } from "./tab-panel";

test.describe.configure({ mode: "default" });

const runButton = (page: Page) => page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first();

/** The last run, as the tab keeps it. */
const runOf = (page: Page) =>
  page.evaluate(() => (JSON.parse(sessionStorage.getItem("facet-steer-runs") ?? "[]") as RunState[])[0] ?? null);

/** Receipts without what has to differ: who computed, and how long it took. */
const comparable = (receipts: (Receipt | null)[]) => receipts.map((receipt) => ({ ...receipt, engine: null, timingsMs: null }));
const receiptsOf = async (page: Page) => comparable(((await runOf(page))?.arms ?? []).map(({ receipt }) => receipt));

/** The same texts and counts, and numbers within what the order of float32 sums explains. */
function expectSame(found: unknown, wanted: unknown, where = "receipts"): void {
  if (typeof wanted === "number" && !Number.isInteger(wanted)) {
    expect(Math.abs((found as number) - wanted), `${where}: ${found} for ${wanted}`).toBeLessThanOrEqual(
      1e-3 * Math.max(1, Math.abs(wanted)),
    );
  } else if (wanted !== null && typeof wanted === "object") {
    expect(Object.keys(found as object).sort(), where).toEqual(Object.keys(wanted).sort());
    for (const [key, value] of Object.entries(wanted)) expectSame((found as Record<string, unknown>)[key], value, `${where}.${key}`);
  } else expect(found, where).toEqual(wanted);
}

async function answersOf(page: Page): Promise<string[]> {
  const region = (name: string) => page.getByRole("region", { name: `${name} answer` });
  const told: string[] = [];
  for (const name of ["Steered", "Baseline"]) {
    await expect(region(name).getByText("Receipt").first()).toBeVisible({ timeout: 90_000 });
    const tokens = await region(name).getByRole("toolbar").getByRole("button").allInnerTexts();
    told.push(`${name}: ${tokens.join("|")}`);
  }
  return told;
}

test("steering in the tab: the server's own answers, token for token, with receipts", async ({ page, catalogue }) => {
  test.setTimeout(240_000);
  const { dictionary, card } = catalogue;
  await open(page, routes.steer({ dictionary: dictionary.ref, feature: card.index, image: card.top[0]?.image }));
  await runButton(page).click();
  const server = await answersOf(page);
  const receipts = await receiptsOf(page);
  expect(receipts).toHaveLength(2);
  const steered: string[] = [];
  /** Requests that tell the request in their address or in that of the page that asks. */
  const told: string[] = [];
  let watching = false;
  page.on("request", (asked) => {
    if (watching && `${asked.url()} ${asked.headers().referer ?? ""}`.includes("r=1.")) told.push(asked.url());
    if ([routes.api.steer(), routes.api.attribute()].some((path) => asked.url().includes(path))) steered.push(asked.url());
  });
  await page.getByRole("radio", { name: "in this tab" }).click();
  await expect(panel(page)).toContainText(/\d+ MB will be fetched/);
  await expect.poll(() => page.url()).toContain("#r=1.");
  watching = true;
  await runButton(page).click();
  await ready(page);
  await expect(page.getByText(/onnxruntime-web/).first()).toBeAttached({ timeout: 90_000 });
  expect(await answersOf(page)).toEqual(server);
  expectSame(await receiptsOf(page), receipts);
  // Why it said so is found out in the tab too.
  const word = page.getByRole("region", { name: "Baseline answer" }).getByRole("toolbar").getByRole("button").first();
  await word.focus();
  await page
    .getByRole("dialog", { name: /^Token/ })
    .getByRole("link", { name: "Why this word?" })
    .press("Enter");
  await expect(page.getByRole("list", { name: "Features by contribution" }).getByRole("listitem").first()).toBeVisible({ timeout: 90_000 });
  expect(steered, "the server was not asked").toEqual([]);
  expect(told, "the request is told to nobody").toEqual([]);
  await expect(page).toHaveURL(/\/trace\?.*token=0.*#r=1\./);
});

/** The same app and the same catalogue on a server that leaves the model to the tabs. */
const engineless = test.extend<{ baseURL: string }, { server: OwnServer }>({
  server: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's needs from this pattern.
    async ({}, use) => {
      // The folder of worker.spec.ts, which runs at another time.
      const server = await startOwnServer(".facet/e2e-worker", { FACET_ENGINE: "tab" });
      await use(server);
      await server.end();
    },
    { scope: "worker", timeout: 240_000 },
  ],
  baseURL: async ({ server }, use) => use(server.url),
});

engineless(
  "a server without an engine: the sandbox runs wholly in the tab, with the Node engine's tokens and receipts",
  async ({ page, request, catalogue }, info) => {
    test.setTimeout(240_000);
    const { dictionary, card } = catalogue;
    const sent: string[] = [];
    page.on("request", (asked) => {
      if (asked.method() !== "GET") sent.push(`${asked.method()} ${asked.url()}`);
    });
    await open(page, routes.steer({ dictionary: dictionary.ref, feature: card.index, image: card.top[0]?.image }));
    await expect(panel(page)).toContainText("The server runs no model, so requests run in this tab.");
    await expect(page.getByRole("radiogroup", { name: "Where requests run" })).toHaveCount(0);
    await expect.poll(() => page.url()).toContain("#r=1.");
    await runButton(page).click();
    await ready(page);
    await expect.poll(async () => (await runOf(page))?.status, { timeout: 90_000 }).toBe("done");
    const link = decodeSteerLink(linkInHash(new URL(page.url()).hash) ?? "");
    const data = requestFromLink(link, () => undefined);
    // It has none to ask: what it would be sent is refused as such.
    expect((await (await request.post(routes.api.steer(), { data })).json()).error.code).toBe("engine_unavailable");
    // The other tests' server runs the model in Node.
    const answer = await request.post(new URL(routes.api.steer(), info.project.use.baseURL).href, { data });
    const events = (await answer.text())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as EngineEvent);
    const arms = (await runOf(page))?.arms ?? [];
    expect(arms.map(({ arm }) => arm)).toEqual(["steered", "baseline"]);
    for (const { arm, tokens, receipt } of arms) {
      const wanted = events.flatMap((event) => (event.type === "token" && event.arm === arm ? [event] : []));
      expect(wanted.length).toBeGreaterThan(3);
      expect(tokens.map(({ id, text }) => [id, text])).toEqual(wanted.map(({ id, text }) => [id, text]));
      const theirs = events.flatMap((event) => (event.type === "receipt" && event.receipt.arm === arm ? [event.receipt] : []));
      expect([receipt?.engine.name, theirs[0]?.engine.name]).toEqual(["onnxruntime-web", "onnxruntime-node"]);
      expectSame(comparable([receipt]), comparable(theirs), arm);
    }
    expect(sent, "nothing was sent to the server").toEqual([]);
    await expectNoGraveViolations(page);
    await page.setViewportSize({ width: 390, height: 844 });
    await expectNoSidewaysScrolling(page);
  },
);
