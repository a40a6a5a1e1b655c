/**
 * The app with FACET_WORKER_URL: a server of this file's own, and a real worker with the demo's checkpoint that comes, is taken away half-way and comes again. Its
 * Python environment is made by `npm test` and `npm run test:worker`; without it these tests cannot run and say so.
 */
import { existsSync } from "node:fs";
import type { Page } from "@playwright/test";
import { inRoot } from "../cli/setup/paths.mjs";
import { venvPython } from "../cli/setup/python.mjs";
import { freePort } from "../cli/setup/server.mjs";
import type { EngineEvent, Receipt } from "../lib/core/protocol";
import { routes } from "../lib/core/routes";
import { type RunningWorker, startWorker } from "../lib/workers/start-worker";
import { startOwnServer } from "./own-server";
import { test as base, expect, open } from "./site";

/** The engine of this server's own process, as receipts name it. */
const own = "onnxruntime-node";
const token = "a-token-that-is-in-no-page";

interface Site {
  url: string;
  workerPort: number;
}

const test = base.extend<{ baseURL: string }, { site: Site }>({
  site: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's needs from this pattern.
    async ({}, use) => {
      const workerPort = await freePort();
      const server = await startOwnServer(".facet/e2e-worker", {
        FACET_E2E_WORKER_URL: `http://127.0.0.1:${workerPort}`,
        FACET_E2E_WORKER_TOKEN: token,
      });
      await use({ url: server.url, workerPort });
      await server.end();
    },
    { scope: "worker", timeout: 240_000 },
  ],
  baseURL: async ({ site }, use) => use(site.url),
});

test.skip(!existsSync(venvPython), "The worker's Python environment is not there: `npm run test:worker` makes it.");

const answer = (page: Page, name: "Steered" | "Baseline") => page.getByRole("region", { name: `${name} answer` });

const runButton = (page: Page) => page.getByRole("main").getByRole("button", { name: "Run", exact: true }).first();
/** The engine that an answer's receipt names. */
const engine = (page: Page, name: string) => answer(page, "Steered").getByText(new RegExp(`^${name} \\d`));

/** Runs what the sandbox holds, and waits for receipts of that engine. */
async function runWith(page: Page, name: typeof own | "torch") {
  await runButton(page).click();
  await expect(engine(page, name)).toBeAttached({ timeout: 60_000 });
  await expect(answer(page, "Baseline").getByText("Receipt", { exact: true })).toBeVisible();
}

/** What an answer says and did, without who made it and when. */
const compared = ({ engine: _engine, timingsMs: _timings, relativeNorm: _norm, clamps, fromBaseline: _from, ...receipt }: Receipt) => ({
  ...receipt,
  clamps: clamps.map(({ feature, image, prompt, generated }) => ({ feature, image, prompt, generated })),
});

test.describe("a worker that comes and goes", () => {
  test.use({ expectedErrors: [/50\d/] });

  test("runs what the browser asks for while it is there, as this server does without it, and its token is seen nowhere", async ({
    page,
    request,
    site,
    catalogue,
  }) => {
    test.setTimeout(300_000);
    const seen: string[] = [];
    page.on(
      "response",
      (response) =>
        void response.text().then(
          (text) => seen.push(text),
          () => {},
        ),
    );
    const workers = async () => (await (await request.get(routes.api.health())).json()).workers;
    const { dictionary, card } = catalogue;
    const image = { sha256: card.top[0]?.image ?? "" };
    const receipts = async () => {
      const content = [
        { type: "image", image },
        { type: "text", text: "what do you see ?" },
      ];
      const data = {
        dictionary: dictionary.ref,
        messages: [{ role: "user", content }],
        interventions: [{ feature: card.index, value: 4 }],
      };
      const lines = (await (await request.post(routes.api.steer(), { data })).text()).trim().split("\n");
      return lines.map((line) => JSON.parse(line) as EngineEvent).flatMap((event) => (event.type === "receipt" ? [event.receipt] : []));
    };

    // It is named, and not there: what this server holds itself it runs itself.
    expect(await workers()).toEqual({ named: 1, answering: 0 });
    await open(page, routes.steer({ dictionary: dictionary.ref, feature: card.index, image: image.sha256 }));
    await runWith(page, own);
    const ours = await receipts();
    expect(ours.map(({ arm, outcome, engine: { name } }) => [arm, outcome, name]).sort()).toEqual([
      ["baseline", "baseline", own],
      ["steered", "steered", own],
    ]);

    const start = (): Promise<RunningWorker> =>
      startWorker({
        model: inRoot("demo", "model"),
        modelId: dictionary.model.id,
        dictionaries: [inRoot("demo", "dictionaries", dictionary.id)],
        token,
        more: ["--port", String(site.workerPort)],
      });
    let worker = await start();
    try {
      await expect.poll(workers, { timeout: 30_000 }).toEqual({ named: 1, answering: 1 });
      await runWith(page, "torch");
      await expect(answer(page, "Steered")).toContainText(/Changed \d+ of \d+ image positions/);
      const theirs = await receipts();
      expect(theirs.every(({ engine: { name } }) => name === "torch")).toBe(true);
      const byArm = (all: Receipt[]) => all.map(compared).sort((a, b) => a.arm.localeCompare(b.arm));
      expect(byArm(theirs)).toEqual(byArm(ours));

      // Also which features fire on a picture, which its page and an upload are answered with.
      const analysis = await request.post(routes.api.analyse(), { data: { dictionary: dictionary.ref, image } });
      const { source, features } = await analysis.json();
      expect(source).toBe("engine");
      expect(features.map(({ index }: { index: number }) => index)).toContain(card.index);

      // Gone without a word: an error that says what to do, or the server's own engine, and never a page that hangs.
      await worker.stop();
      await runButton(page).click();
      const refused = page
        .getByRole("alert")
        .filter({ hasText: /worker that runs this model cannot be reached\.\s*Start the worker again/ });
      await expect(refused.or(engine(page, own))).toBeAttached({ timeout: 60_000 });
      await expect.poll(workers, { timeout: 30_000 }).toEqual({ named: 1, answering: 0 });
      await runWith(page, own);

      worker = await start();
      await expect.poll(workers, { timeout: 30_000 }).toEqual({ named: 1, answering: 1 });
      await runWith(page, "torch");
    } finally {
      await worker.stop();
    }
    await page.goto(routes.dictionary(dictionary.ref));
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.filter((text) => text.includes(token))).toEqual([]);
    expect(seen.filter((text) => text.includes(`:${site.workerPort}`))).toEqual([]);
  });
});
