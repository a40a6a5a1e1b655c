import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { experimentPageSchema } from "@/lib/api/experiments";
import { errorBodySchema } from "@/lib/api/fetch-json";
import { listImages } from "@/lib/catalog/images";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { testRun } from "@/lib/catalog/test-run";
import { experimentSchema, experimentSummarySchema } from "@/lib/core/experiment";
import type { EngineEvent, GenerateRequest } from "@/lib/core/protocol";
import type { Engine } from "@/lib/engine/engine";
import { sharp } from "@/lib/sharp";

const ref = "test-model/model.layers.1";
let catalog: TestCatalog;
let sha256: string;
let picture: string;

const engine = {
  info: async () => ({ dictionary: { sha256 } }),
  async *generate(request: GenerateRequest) {
    yield* testRun(request, { images: [picture], dictionarySha256: sha256 });
  },
} as unknown as Engine;

vi.mock("@/lib/catalog/db", async (original) => ({ ...(await original<object>()), getDatabase: async () => catalog.db }));
vi.mock("@/lib/engine/registry", () => ({ engineFor: async () => engine }));

const { POST: steer } = await import("../steer/route");
const { GET: list, POST: save, ...others } = await import("./route");
const { GET: read, ...readOnly } = await import("./[id]/route");
const { GET: card } = await import("./[id]/card/route");

beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add();
  const [row] = await catalog.db.rows<{ sha256: string }>("SELECT sha256 FROM dictionary WHERE ref = $1", [ref]);
  sha256 = row?.sha256 as string;
  picture = (await listImages(catalog.db, { limit: 1, cursor: null })).items[0]?.sha256 as string;
}, 120_000);
afterAll(() => catalog?.close());

const at = (path: string, init?: RequestInit) => new Request(`http://127.0.0.1${path}`, init);
const posted = (body: unknown) =>
  save(at("/api/experiments", { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) }));
const context = (id: string) => ({ params: Promise.resolve({ id }) });
async function refused(response: Response): Promise<[number, string, string]> {
  const { error } = errorBodySchema.parse(await response.json());
  return [response.status, error.code, error.message];
}

/** Runs a request through the route and gives the name that the stream's `meta` has. */
async function run(): Promise<string> {
  const content = [
    { type: "image", image: { sha256: picture } },
    { type: "text", text: "what is it ?" },
  ];
  const body = { dictionary: ref, messages: [{ role: "user", content }], interventions: [{ feature: 3, value: 2 }] };
  const response = await steer(at("/api/steer", { method: "POST", body: JSON.stringify(body) }));
  const events = (await response.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as EngineEvent);
  const meta = events.find((event) => event.type === "meta");
  return meta?.run ?? "";
}

describe("/api/experiments", { timeout: 60_000 }, () => {
  it("saves what the server's engine streamed, by the run's name alone", async () => {
    const id = await run();
    const response = await posted({ run: id, title: "  Two lemons " });
    const summary = experimentSummarySchema.parse(await response.json());
    expect([response.status, response.headers.get("location"), summary.title]).toEqual([
      201,
      `/api/experiments/${summary.id}`,
      "Two lemons",
    ]);
    expect((await posted({ run: id, title: "Two lemons" })).status).toBe(200);
    const experiment = experimentSchema.parse(await (await read(at("/"), context(summary.id))).json());
    expect(experiment).toMatchObject({ ...summary, run: id, hashes: { dictionary: { sha256 } } });
  });

  it("stops at so many new ones an hour, and counts none that was there or failed", async () => {
    vi.resetModules();
    vi.stubEnv("FACET_SAVES_PER_CLIENT", "2");
    const { POST: bounded } = await import("./route");
    const from = (address: string, body: unknown) =>
      bounded(
        at("/api/experiments", { method: "POST", body: JSON.stringify(body), headers: { "x-forwarded-for": `9.9.9.9, ${address}` } }),
      );
    const id = await run();
    expect((await from("1.1.1.1", { run: "aaaaaaaaaaaaaaaa" })).status).toBe(404);
    expect((await from("1.1.1.1", { run: id, title: "first" })).status).toBe(201);
    expect((await from("1.1.1.1", { run: id, title: "first" })).status).toBe(200);
    expect((await from("1.1.1.1", { run: id, title: "second" })).status).toBe(201);
    const third = await from("1.1.1.1", { run: id, title: "third" });
    expect(Number(third.headers.get("retry-after"))).toBeGreaterThan(3_500);
    expect(await refused(third)).toEqual([429, "too_many_saved", expect.stringContaining("2 experiments were saved from your address")]);
    expect((await from("1.1.1.2", { run: id, title: "third" })).status).toBe(201);
    vi.stubEnv("FACET_SAVES_PER_HOUR", "0");
    vi.resetModules();
    const { POST: off } = await import("./route");
    expect(await refused(await off(at("/api/experiments", { method: "POST", body: JSON.stringify({ run: id }) })))).toEqual([
      403,
      "saving_off",
      expect.any(String),
    ]);
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  it("takes no text or receipt from its client", async () => {
    const id = await run();
    for (const more of [{ events: [] }, { receipts: [] }, { request: {} }, { id: "aaaaaaaaaaaaaaaa" }]) {
      expect((await refused(await posted({ run: id, ...more })))[1]).toBe("invalid_request");
    }
  });

  it("refuses with a sentence what is wrong, too long, too large or not here", async () => {
    const id = await run();
    expect(await refused(await posted("{"))).toEqual([400, "invalid_request", expect.any(String)]);
    expect(await refused(await posted({ run: "x" }))).toEqual([400, "invalid_request", expect.stringContaining("run")]);
    expect(await refused(await posted({ run: id, title: "x".repeat(201) }))).toEqual([
      400,
      "invalid_request",
      expect.stringContaining("title"),
    ]);
    expect(await refused(await posted({ run: id, note: "x".repeat(4_001) }))).toEqual([
      400,
      "invalid_request",
      expect.stringContaining("note"),
    ]);
    expect(await refused(await posted({ run: id, pictures: ["data:image/png;base64,iVBORw0KGgo="] }))).toEqual([
      422,
      "unreadable_image",
      expect.any(String),
    ]);
    expect((await refused(await posted("x".repeat(40_000_000))))[1]).toBe("too_large");
    expect((await refused(await posted({ run: "aaaaaaaaaaaaaaaa" })))[1]).toBe("run_not_found");
    expect((await refused(await list(at("/api/experiments?order=up"))))[1]).toBe("unknown_query_key");
    expect((await refused(await list(at("/api/experiments?cursor=up"))))[1]).toBe("invalid_request");
    expect((await refused(await read(at("/"), context("../etc"))))[1]).toBe("invalid_request");
    expect((await refused(await read(at("/"), context("aaaaaaaaaaaaaaaa"))))[1]).toBe("experiment_not_found");
  });

  it("lists, with an ETag like every GET", async () => {
    const page = experimentPageSchema.parse(await (await list(at("/api/experiments?q=Two%20lemons&limit=1"))).json());
    expect(page.items.map(({ title }) => title)).toEqual(["Two lemons"]);
    for (const get of [
      (init?: RequestInit) => list(at("/api/experiments", init)),
      (init?: RequestInit) => read(at("/", init), context(page.items[0]?.id ?? "")),
      (init?: RequestInit) => card(at("/", init), context(page.items[0]?.id ?? "")),
    ]) {
      const etag = (await get()).headers.get("etag") ?? "";
      expect(etag).toMatch(/^(W\/)?"[\w-]{20,}"$/);
      expect((await get({ headers: { "if-none-match": etag } })).status).toBe(304);
    }
    const drawn = await card(at("/"), context(page.items[0]?.id ?? ""));
    expect(drawn.headers.get("content-type")).toBe("image/png");
    expect(await sharp(new Uint8Array(await drawn.arrayBuffer())).metadata()).toMatchObject({ width: 1200, height: 630 });
  });

  it("changes and removes nothing", async () => {
    for (const method of ["PUT", "PATCH", "DELETE"] as const) {
      const response = others[method](at("/api/experiments", { method }));
      expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD, POST"]);
      expect((await refused(readOnly[method](at("/api/experiments/x", { method }))))[1]).toBe("method_not_allowed");
    }
  });
});
