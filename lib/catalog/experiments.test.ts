import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FacetError } from "@/lib/core/errors";
import { experimentLimits } from "@/lib/core/experiment";
import { type EngineEvent, type GenerateRequest, type GenerateRequestInput, generateRequestSchema } from "@/lib/core/protocol";
import { sharp } from "@/lib/sharp";
import { dropDictionary } from "./drop-dictionary";
import { findExperiment, listExperiments, saveExperiment } from "./experiments";
import { findImage, listImages } from "./images";
import { missingAt } from "./missing";
import { findRun, recordRun } from "./runs";
import { openTestCatalog, type TestCatalog } from "./test-catalog";
import { streamOf, type TestRunOptions, testRun } from "./test-run";

const ref = "test-model/model.layers.1";
let catalog: TestCatalog;
/** A picture of the catalogue. */
let picture: string;
/** One that somebody uploads. */
let upload: Uint8Array;
let uploadSha: string;
let label: string;

beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add();
  picture = (await listImages(catalog.db, { limit: 1, cursor: null })).items[0]?.sha256 ?? "";
  const [named] = await catalog.db.rows<{ label: string }>("SELECT label FROM feature WHERE index = 3");
  label = named?.label ?? "";
  const png = await sharp({ create: { width: 40, height: 30, channels: 3, background: "#456" } })
    .png()
    .toBuffer();
  upload = new Uint8Array(png);
  uploadSha = createHash("sha256").update(upload).digest("hex");
}, 120_000);
afterAll(() => catalog?.close());

const requestFor = (more: Partial<GenerateRequestInput> = {}): GenerateRequest =>
  generateRequestSchema.parse({
    dictionary: ref,
    messages: [
      {
        role: "user",
        content: [
          { type: "image", image: { sha256: picture } },
          { type: "text", text: "what is it ?" },
        ],
      },
    ],
    interventions: [{ feature: 3, value: 4 }],
    ...more,
  });

const failed = (error: unknown) => {
  throw error;
};

/** Streams a request through the recorder and gives the run's id, and all that a client saw. */
async function run(request: GenerateRequest, options: TestRunOptions = {}, edit: (events: EngineEvent[]) => EngineEvent[] = (e) => e) {
  const seen: EngineEvent[] = [];
  const events = edit(testRun(request, { images: [picture], ...options }));
  for await (const event of recordRun(catalog.db, request, streamOf(events), failed)) seen.push(event);
  const meta = seen.find((event) => event.type === "meta");
  return { seen, id: meta?.run ?? "" };
}

async function save(id: string, title = "", note = "", uploads: Uint8Array[] = []) {
  const { experiment, created } = await saveExperiment(catalog.db, { run: id, title, note }, uploads);
  return { id: experiment.id, created };
}
const refusal = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(FacetError);
  return error as FacetError;
};

describe("a run is recorded as it is streamed", () => {
  it("with everything that the reader saw but its place in the line", async () => {
    const { seen, id } = await run(requestFor());
    expect(seen.at(-1)).toEqual({ type: "done" });
    expect(id).toMatch(/^[a-z2-7]{16}$/);
    const kept = await findRun(catalog.db, id);
    expect(kept.request).toEqual(requestFor());
    const streamed = testRun(requestFor(), { images: [picture] });
    expect(kept.events).toEqual(streamed.filter(({ type }) => type !== "queued" && type !== "done"));
  });

  it("only where it came to its end", async () => {
    const cut = await run(requestFor(), {}, (events) => events.slice(0, -1));
    expect((await refusal(findRun(catalog.db, cut.id))).code).toBe("run_not_found");
    const failing = await run(requestFor(), {}, (events) => events.filter(({ type }) => type !== "receipt"));
    expect((await refusal(findRun(catalog.db, failing.id))).code).toBe("run_not_found");
  });

  it("and tells its reader nothing of a database that fails", async () => {
    const broken = { ...catalog.db, rows: async () => failed(new Error("gone")) } as unknown as typeof catalog.db;
    const errors: unknown[] = [];
    const seen: EngineEvent[] = [];
    for await (const event of recordRun(broken, requestFor(), streamOf(testRun(requestFor())), (error) => errors.push(error))) {
      seen.push(event);
    }
    expect(seen.at(-1)).toEqual({ type: "done" });
    expect(errors).toHaveLength(1);
  });

  it("for a day, and no more than can be read at once", async () => {
    const { id } = await run(requestFor());
    await catalog.db.rows("UPDATE run SET recorded_at = now() - interval '25 hours' WHERE id = $1", [id]);
    await run(requestFor());
    expect((await refusal(findRun(catalog.db, id))).code).toBe("run_not_found");
    const long = "word ".repeat(experimentLimits.runBytes / 4);
    const huge = await run(requestFor(), { answers: { steered: [long] } });
    const error = await refusal(save(huge.id));
    expect([error.code, error.message]).toEqual(["too_large", expect.stringContaining("8 MB")]);
  });
});

describe("an experiment", () => {
  it("is the recorded run with its words, names and pictures", async () => {
    const request = requestFor();
    const { id: runId } = await run(request);
    const { id, created } = await save(runId, "Does it taste sour?", "A first try.");
    expect(created).toBe(true);
    const experiment = await findExperiment(catalog.db, id);
    expect(experiment).toMatchObject({
      id,
      run: runId,
      title: "Does it taste sour?",
      note: "A first try.",
      dictionary: ref,
      question: "what is it ?",
      picture,
      clamps: [{ feature: 3, label, op: "set", value: 4, unit: "max" }],
      steered: "a lemon",
      baseline: "a dog",
      outcome: "steered",
      arms: 2,
      request,
      hashes: { model: { sha256: "1".repeat(64) }, dictionary: { sha256: "2".repeat(64) } },
      engine: { name: "test" },
    });
    expect(experiment.events).toEqual((await findRun(catalog.db, runId)).events);
    expect(experiment.pictures).toEqual([expect.objectContaining({ sha256: picture })]);
    expect(Date.now() - Date.parse(experiment.createdAt)).toBeLessThan(60_000);
  });

  it("is saved once under the same words, anew under others, and named where it has none", async () => {
    const { id: runId } = await run(requestFor());
    const first = await save(runId);
    expect(await save(runId)).toEqual({ id: first.id, created: false });
    const other = await save(runId, "Another name");
    expect(other).toMatchObject({ created: true });
    expect(other.id).not.toBe(first.id);
    expect((await findExperiment(catalog.db, first.id)).title).toBe(`${label} set to 4 × max`);
  });

  it("keeps uploaded pictures by their hash, whole, for whoever opens it", async () => {
    const dataUrl = `data:image/png;base64,${Buffer.from(upload).toString("base64")}`;
    const request = requestFor({
      messages: [
        {
          role: "user",
          content: [
            { type: "image", image: { dataUrl } },
            { type: "image", image: { sha256: picture } },
          ],
        },
      ],
    });
    const { id: runId } = await run(request, { images: [uploadSha, picture] });
    const missing = await refusal(save(runId));
    expect(missing.code).toBe("image_not_found");
    expect(missing.message).toContain(uploadSha.slice(0, 12));
    expect(missing.fix).toContain("`pictures`");
    expect(await catalog.db.rows("SELECT FROM experiment WHERE content LIKE $1", [`%${runId}%`])).toEqual([]);
    // Another picture than the one that was sent is not it.
    const other = await sharp(upload).resize(20).png().toBuffer();
    expect((await refusal(save(runId, "", "", [new Uint8Array(other)]))).code).toBe("image_not_found");
    expect((await refusal(save(runId, "", "", [upload.subarray(0, 4)]))).code).toBe("unreadable_image");

    const { id } = await save(runId, "", "", [upload]);
    const { request: saved, pictures } = await findExperiment(catalog.db, id);
    expect(JSON.stringify(saved)).not.toContain("base64");
    expect(saved.messages[0]?.content).toEqual([
      { type: "image", image: { sha256: uploadSha } },
      { type: "image", image: { sha256: picture } },
    ]);
    expect(pictures[0]).toEqual({ sha256: uploadSha, mime: "image/png", width: 40, height: 30 });
    const { bytes, mime } = await findImage(catalog.db, uploadSha);
    expect(Buffer.from(bytes).equals(upload)).toBe(true);
    expect(mime).toBe("image/png");
    expect(await missingAt(catalog.db, `/i/${uploadSha}`)).toBeNull();
    // Nobody picks it for another request, who did not upload it.
    const listed = await listImages(catalog.db, { limit: 100, cursor: null });
    expect(listed.items.some(({ sha256 }) => sha256 === uploadSha)).toBe(false);
    // It is there now, so that a second save need not send it.
    expect((await save(runId, "Again")).created).toBe(true);
  });

  it("is refused where a receipt does not belong to its request", async () => {
    const spoil = (change: (receipt: Extract<EngineEvent, { type: "receipt" }>["receipt"]) => void) => (events: EngineEvent[]) => {
      for (const event of events) if (event.type === "receipt" && event.receipt.arm === "steered") change(event.receipt);
      return events;
    };
    const cases: [(receipt: Extract<EngineEvent, { type: "receipt" }>["receipt"]) => void, string][] = [
      [(receipt) => Object.assign(receipt.clamps[0] ?? {}, { value: 2 }), "clamps"],
      [(receipt) => Object.assign(receipt.dictionary, { id: "model.layers.9" }), "dictionary"],
      [(receipt) => Object.assign(receipt, { sampling: { ...receipt.sampling, seed: 9 } }), "sampling"],
      [(receipt) => Object.assign(receipt, { text: "a pear" }), "text"],
      [(receipt) => Object.assign(receipt, { mode: "reconstruct" }), "mode"],
      [(receipt) => Object.assign(receipt, { arm: "negated" }), "none"],
      [(receipt) => Object.assign(receipt.prompt, { images: ["0".repeat(64)] }), "pictures"],
    ];
    for (const [change, what] of cases) {
      const { id } = await run(requestFor(), {}, spoil(change));
      const error = await refusal(save(id));
      expect([error.code, error.message], what).toEqual(["receipt_mismatch", expect.stringContaining(what)]);
    }
    expect((await refusal(save("aaaaaaaaaaaaaaaa"))).code).toBe("run_not_found");
  });

  it("says so where its record was altered since, and where there is none", async () => {
    const { id: runId } = await run(requestFor());
    const { id } = await save(runId, "To be altered");
    await catalog.db.rows("UPDATE experiment SET content = replace(content, 'lemon', 'melon') WHERE id = $1", [id]);
    expect((await refusal(findExperiment(catalog.db, id))).message).toContain("altered");
    for (const unknown of ["aaaaaaaaaaaaaaaa", "x\0y", "'; DROP TABLE experiment"]) {
      expect((await refusal(findExperiment(catalog.db, unknown))).code).toBe("experiment_not_found");
      expect(await missingAt(catalog.db, `/x/${encodeURIComponent(unknown)}`)).toEqual({ kind: "experiment", id: unknown });
    }
    expect(await missingAt(catalog.db, `/embed/x/${id}`)).toBeNull();
    await catalog.db.rows("DELETE FROM experiment WHERE id = $1", [id]);
  });
});

describe("the list of experiments", () => {
  it("goes from the newest on, page by page, none twice and none left out", async () => {
    const ids: string[] = [];
    const { id: runId } = await run(requestFor());
    for (let i = 0; i < 7; i++) ids.push((await save(runId, `Number ${i} of the sequence`)).id);
    // Two of the same millisecond.
    await catalog.db.rows("UPDATE experiment SET created_at = date_trunc('second', created_at) WHERE id = ANY($1)", [ids.slice(2, 5)]);
    const whole = await listExperiments(catalog.db, { q: "sequence", limit: 100, cursor: null });
    expect(whole).toMatchObject({ total: 7, next: null });
    expect(new Set(whole.items.map(({ id }) => id))).toEqual(new Set(ids));
    expect(whole.items.map(({ createdAt }) => createdAt)).toEqual(
      whole.items
        .map(({ createdAt }) => createdAt)
        .sort()
        .reverse(),
    );
    const paged: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof listExperiments>> = await listExperiments(catalog.db, { q: "sequence", limit: 2, cursor });
      expect(page.total).toBe(7);
      paged.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    } while (cursor);
    expect(paged).toEqual(whole.items.map(({ id }) => id));
    expect((await refusal(listExperiments(catalog.db, { limit: 2, cursor: "5" }))).code).toBe("invalid_request");
  });

  it("is searched by words and halves of words in title, note, question, answers, names and numbers", async () => {
    const { id: runId } = await run(requestFor(), { answers: { steered: [" a", " 100%", " zeppelin"] } });
    const { id } = await save(runId, "Airships", "Seen by Ωmega at the café");
    const find = async (q: string) => (await listExperiments(catalog.db, { q, limit: 100, cursor: null })).items.map((item) => item.id);
    for (const q of ["zeppelin", "ZEPP", "airship", "airships seen", "Ωmega", "café", "100%", "pelin"]) {
      expect(await find(q), q).toEqual([id]);
    }
    expect(await find("#3")).toContain(id);
    expect(await find(label)).toContain(id);
    for (const q of ["zeppelin%x", "a_r", "no such word", "\0\0zz", "%%", "\\"]) expect(await find(q), q).toEqual([]);
  });
});

it("outlives the dictionary that it was made with, pictures and names included", async () => {
  const { id: runId } = await run(requestFor());
  const { id } = await save(runId, "Kept for good");
  const before = await findExperiment(catalog.db, id);
  await dropDictionary(catalog.db, ref);
  expect(await findExperiment(catalog.db, id)).toEqual(before);
  expect((await findImage(catalog.db, picture)).bytes.byteLength).toBeGreaterThan(100);
});
