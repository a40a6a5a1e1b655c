/** The files that a tab fetches, asked of the route over a copy of the demo's model. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { env } from "@/lib/env";

// Counted: a file that is not hashed twice is not read twice.
const { reads } = vi.hoisted(() => ({ reads: [] as string[] }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const createReadStream: typeof fs.createReadStream = (file, options) => {
    reads.push(path.basename(String(file)));
    return fs.createReadStream(file, options);
  };
  return { ...fs, default: fs, createReadStream };
});

let folder: string;
let files: typeof import("./[sha256]/[name]/route");
let browserPackage: typeof import("@/lib/engine/browser-package");
const ref = "facet-emoji/model.layers.1";

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-files-"));
  const skip = (file: string) => !file.includes("model.layers.0");
  for (const name of ["model", "dictionaries"]) {
    await cp(path.join(env.root, "demo", name), path.join(folder, name), { recursive: true, filter: skip });
  }
  // Of the two dictionaries one is here.
  const manifestFile = path.join(folder, "model", "engine.json");
  const manifest = JSON.parse(await readFile(manifestFile, "utf8"));
  manifest.dictionaries = manifest.dictionaries.filter(({ id }: { id: string }) => id === "model.layers.1");
  await writeFile(manifestFile, JSON.stringify(manifest));
  vi.stubEnv("FACET_ENGINE_DIR", path.join(folder, "model"));
  vi.resetModules();
  browserPackage = await import("@/lib/engine/browser-package");
  files = await import("./[sha256]/[name]/route");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const ask = (sha256: string, name: string, init: RequestInit = {}) =>
  files.GET(new Request(`http://127.0.0.1/api/engine/files/${sha256}/${name}`, init), { params: Promise.resolve({ sha256, name }) });

async function hashOf(name: string): Promise<string> {
  const pack = await browserPackage.enginePackage(ref);
  return pack?.files.find((file) => file.path.endsWith(name))?.sha256 as string;
}

it("reads each file once to hash it, however many ask at the same time", async () => {
  reads.length = 0;
  const packs = await Promise.all(Array.from({ length: 4 }, () => browserPackage.enginePackage(ref)));
  expect(new Set(packs.map((pack) => JSON.stringify(pack))).size).toBe(1);
  expect(reads.filter((name) => name === "model.safetensors")).toHaveLength(1);
  expect(reads.filter((name) => name === "ort-wasm-simd-threaded.wasm")).toHaveLength(1);
});

it("gives whole files and parts by their hash, and opens none for HEAD, whose body nobody reads", async () => {
  const sha256 = await hashOf("vision.onnx");
  const bytes = await readFile(path.join(folder, "model", "vision.onnx"));
  const whole = await ask(sha256, "vision.onnx");
  expect(whole.headers.get("etag")).toBe(`"${sha256}"`);
  expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
  const part = await ask(sha256, "vision.onnx", { headers: { range: "bytes=10-19" } });
  expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 10-19/${bytes.length}`]);
  expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(10, 20))).toBe(true);
  reads.length = 0;
  const head = await ask(sha256, "vision.onnx", { method: "HEAD" });
  expect([head.status, head.body, head.headers.get("etag")]).toEqual([200, null, `"${sha256}"`]);
  expect(reads).toEqual([]);
});

it("serves what was exported anew under its own hash alone, and says which file is gone", async () => {
  const file = path.join(folder, "model", "tokenizer_config.json");
  const before = await readFile(file, "utf8");
  const old = await hashOf("tokenizer_config.json");
  await writeFile(file, `${before}\n`);
  const stale = await ask(old, "tokenizer_config.json");
  expect([stale.status, stale.headers.get("cache-control")]).toEqual([404, "no-store"]);
  expect((await stale.json()).error.fix).toContain("Reload the page");
  const now = await hashOf("tokenizer_config.json");
  expect(now).not.toBe(old);
  expect(await (await ask(now, "tokenizer_config.json")).text()).toBe(`${before}\n`);
  await writeFile(file, before);
  expect(await (await ask(old, "tokenizer_config.json")).text()).toBe(before);

  await rm(file);
  const gone = await ask(old, "tokenizer_config.json");
  expect([gone.status, (await gone.json()).error.code]).toEqual([503, "engine_unavailable"]);
});
