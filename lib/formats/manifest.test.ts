import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { contentHash, type Manifest, readManifest, tableNames } from "./manifest";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-manifest-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const hash = "a".repeat(64);
const names = ["images.parquet", "texts.parquet", ...tableNames.map((name) => `d/${name}.parquet`)];

function manifest(): Record<string, unknown> & { dictionaries: Record<string, unknown>[]; files: Record<string, unknown> } {
  const dictionary = {
    id: "model.layers.1",
    hook: "model.layers.1",
    layer: 1,
    sha256: hash,
    num_latents: 8,
    width: 4,
    activation: "topk",
    metrics: { fvu: 0.1 },
    images: 1,
    folder: "d",
  };
  return {
    format: "facet-bundle/1",
    model: { id: "m", name: "M", sha256: hash, image_size: 96, grid: { rows: 2, cols: 2 } },
    dictionaries: [dictionary],
    files: Object.fromEntries(names.map((name) => [name, { sha256: hash, bytes: 1, rows: 1 }])),
    made: { anything: true },
  };
}

async function read(value: unknown): Promise<Manifest> {
  await writeFile(path.join(folder, "manifest.json"), typeof value === "string" ? value : JSON.stringify(value));
  return readManifest(folder);
}

describe("manifests", () => {
  it("are read, with what was not measured as null", async () => {
    const read1 = await read(`\uFEFF${JSON.stringify(manifest())}`);
    expect(read1.dictionaries[0]).toMatchObject({ k: null, text_tokens: null, metrics: { fvu: 0.1, explained_variance: null } });
    expect(read1.attribution).toBeNull();
  });

  it.each<[string, (value: ReturnType<typeof manifest>) => unknown, RegExp]>([
    ["another format", (value) => Object.assign(value, { format: "facet-bundle/2" }), /"format" is wrong/],
    ["a short hash", (value) => Object.assign(value.dictionaries[0] ?? {}, { sha256: "abc" }), /"dictionaries.0.sha256" is wrong: 64/],
    ["a name with a slash", (value) => Object.assign(value.dictionaries[0] ?? {}, { id: "a/b" }), /"dictionaries.0.id" is wrong/],
    ["no dictionaries", (value) => Object.assign(value, { dictionaries: [] }), /"dictionaries" is wrong/],
    ["a dictionary twice", (value) => value.dictionaries.push({ ...value.dictionaries[0] }), /listed twice/],
    ["an unlisted file", (value) => delete value.files["d/scores.parquet"], /does not list d\/scores.parquet/],
    ["a file outside", (value) => Object.assign(value.files, { "../x.parquet": { sha256: hash, bytes: 1 } }), /lies outside the bundle/],
    ["an absolute file", (value) => Object.assign(value.files, { "/etc/passwd": { sha256: hash, bytes: 1 } }), /lies outside the bundle/],
  ])("are refused for %s", async (_, spoil, says) => {
    const value = manifest();
    spoil(value);
    await expect(read(value)).rejects.toMatchObject({ code: "bundle_invalid", message: expect.stringMatching(says) });
  });

  it("have one content hash a dictionary, which any of its files changes and another's does not", async () => {
    const base = await read(manifest());
    const entry = base.dictionaries[0] as Manifest["dictionaries"][number];
    const changed = structuredClone(base);
    Object.assign(changed.files["d/scores.parquet"] ?? {}, { sha256: "b".repeat(64) });
    expect(contentHash(changed, entry)).not.toBe(contentHash(base, entry));
    const beside = structuredClone(base);
    beside.files["other/scores.parquet"] = { sha256: hash, bytes: 1 };
    expect(contentHash(beside, entry)).toBe(contentHash(base, entry));
  });
});
