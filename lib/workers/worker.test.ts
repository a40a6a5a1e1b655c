import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { checkWorkers } from "./check";
import { sendError, startTestWorker, type TestWorker, testInfo, testPatience, testServed } from "./test-worker";
import { Worker } from "./worker";
import { workerSays } from "./workers";

const open: (TestWorker | { stop(): Promise<unknown> })[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});
const start: typeof startTestWorker = async (...args) => {
  const worker = await startTestWorker(...args);
  open.push(worker);
  return worker;
};
/** Takes connections and never says a word. */
async function startMute(): Promise<URL> {
  const server = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  open.push({ stop: async () => server.close() });
  return new URL(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
}

describe("Worker", () => {
  it("asks what a worker serves with the token, and again only where the answer is old", async () => {
    const test = await start({}, "secret");
    const { served, info } = await test.worker.served("m/d");
    expect([served, info]).toEqual([testServed, testInfo]);
    await Promise.all([test.worker.served("m/d"), test.worker.state()]);
    expect(test.seen).toEqual([{ call: "GET /info", token: "Bearer secret" }]);
    const eager = await start({ freshMs: 0 });
    await eager.worker.state();
    await eager.worker.state();
    expect(eager.seen).toEqual([
      { call: "GET /info", token: undefined },
      { call: "GET /info", token: undefined },
    ]);
  });

  it("is asked under the path that its address has", async () => {
    const test = await start();
    const behind = new Worker({ url: new URL("gpu/1/", test.url), token: undefined }, testPatience);
    await behind.state();
    expect(test.seen[0]?.call).toBe("GET /gpu/1/info");
  });

  it("says that it cannot be reached, remembers what it served, and serves again when it is back", async () => {
    const test = await start({ freshMs: 0 });
    await test.worker.state();
    await test.stop();
    const { info, failure } = await test.worker.state();
    expect(info).toEqual(testInfo);
    expect(failure).toMatchObject({ code: "engine_unavailable", message: "The worker that runs this model cannot be reached." });
    await expect(test.worker.served("m/d")).rejects.toMatchObject({ code: "engine_unavailable" });
    await test.start();
    expect((await test.worker.served("m/d")).served).toEqual(testServed);
  });

  it("gives up a connection that is not made, and an answer that does not begin", async () => {
    const mute = await startMute();
    const began = performance.now();
    const secure = new Worker({ url: new URL(`https://${mute.host}`), token: undefined }, { ...testPatience, connectMs: 150 });
    expect((await secure.state()).failure?.message).toBe("The worker that runs this model cannot be reached.");
    const plain = new Worker({ url: mute, token: undefined }, { ...testPatience, infoMs: 150 });
    expect((await plain.state()).failure).toMatchObject({
      code: "engine_unavailable",
      message: "The worker that runs this model has given no answer for 150 ms.",
    });
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it("keeps no page waiting", async () => {
    const plain = new Worker({ url: await startMute(), token: undefined }, { ...testPatience, infoMs: 20_000 });
    const began = performance.now();
    expect(await plain.glance()).toMatchObject({ info: null, failure: { code: "engine_unavailable" } });
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  const oddInfos: [string, object | number, string, string][] = [
    ["a wrong token", 401, "The worker that runs this model does not take this server's token.", "FACET_WORKER_TOKEN"],
    ["a newer protocol", { protocol: 2 }, "The worker that runs this model speaks protocol 2, and this app protocol 1.", "Update the app."],
    [
      "an older protocol",
      { protocol: 0 },
      "The worker that runs this model speaks protocol 0, and this app protocol 1.",
      "Update the worker.",
    ],
    ["something else", { hello: 1 }, "What answers at the worker's address does not describe itself as a worker does.", "FACET_WORKER_URL"],
    [
      "half a description",
      { protocol: 1, name: "x" },
      "What answers at the worker's address does not describe itself as a worker does.",
      "FACET_WORKER_URL",
    ],
    ["a status", 404, "At the worker's address something answered with status 404, and not as a worker does.", "FACET_WORKER_URL"],
  ];
  it.each(oddInfos)("tells %s apart", async (_, info, message, fix) => {
    const test = await start({}, "secret");
    test.info = info;
    const { failure } = await test.worker.state();
    expect(failure).toMatchObject({ message, fix: expect.stringContaining(fix) });
    expect(JSON.stringify(failure)).not.toMatch(/secret|127\.0\.0\.1/);
  });

  it("finds out anew what is there after a request found nobody, or other weights", async () => {
    const test = await start();
    await test.worker.state();
    test.post = (_, response) => sendError(response, 409, "version_mismatch");
    await expect(test.worker.call({ path: "/v1/generate", body: "{}" })).rejects.toMatchObject({ code: "version_mismatch" });
    await test.worker.state();
    expect(test.seen.map(({ call }) => call)).toEqual(["GET /info", "POST /v1/generate", "GET /info"]);
  });
});

describe("workerSays", () => {
  const other = { ...testInfo, dictionaries: [{ ...testServed, dictionary: { ...testServed.dictionary, sha256: "c".repeat(64) } }] };
  const b = "b".repeat(64);

  it("knows a dictionary by name and weights, of the first worker that answers with the name", async () => {
    const [one, two] = [await start({ freshMs: 0 }), await start({ freshMs: 0 })];
    const both = [one.worker, two.worker];
    expect(await workerSays("m/d", b, [])).toBe("none");
    expect(await workerSays("m/d", b, both)).toBe("ready");
    expect(await workerSays("m/else", b, both)).toBe("none");
    one.info = other;
    await one.worker.state();
    expect(await workerSays("m/d", b, both)).toBe("other");
    await one.stop();
    await one.worker.state();
    expect(await workerSays("m/d", b, both)).toBe("ready");
  });

  it("tells a worker that is gone from one that was never heard of", async () => {
    const test = await start({ freshMs: 0 });
    const unheard = await start();
    await unheard.stop();
    await test.worker.state();
    await test.stop();
    await test.worker.state();
    expect(await workerSays("m/d", b, [test.worker])).toBe("gone");
    expect(await workerSays("m/else", b, [test.worker])).toBe("none");
    expect(await workerSays("m/else", b, [test.worker, unheard.worker])).toBe("unknown");
    await unheard.start();
  });
});

it("says in the doctor's words how each worker is, and never its token", async () => {
  const [well, wrong, gone] = [await start({}, "secret"), await start({}, "secret"), await start({}, "secret")];
  wrong.info = 401;
  await gone.stop();
  const findings = await checkWorkers([well.worker, wrong.worker, gone.worker]);
  await gone.start();
  expect(findings).toEqual([
    { ok: true, what: `The worker at ${well.url} answers: m/d, in float32 on cpu.`, fix: null },
    {
      ok: false,
      what: `${wrong.url}: The worker that runs this model does not take this server's token.`,
      fix: expect.stringContaining("FACET_WORKER_TOKEN"),
    },
    { ok: false, what: expect.stringMatching(/cannot be reached\. \(.*ECONNREFUSED/), fix: expect.stringContaining("FACET_WORKER_URL") },
  ]);
  expect(JSON.stringify(findings)).not.toContain("secret");
});
