import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, it, vi } from "vitest";

const place = vi.hoisted(() => ({ engineDir: "" }));
vi.mock("@/lib/env", () => ({ env: place }));
const { isRunnable } = await import("./engine-files");

const a = "a".repeat(64);
const b = "b".repeat(64);
afterEach(() => rm(place.engineDir, { recursive: true, force: true }));

it("knows the dictionaries that engine.json names, by address and hash", async () => {
  place.engineDir = await mkdtemp(path.join(tmpdir(), "facet-engine-files-"));
  expect(await isRunnable("m/model.layers.1", a)).toBe(false);
  await writeFile(
    path.join(place.engineDir, "engine.json"),
    JSON.stringify({ model: { id: "m" }, dictionaries: [{ id: "model.layers.1", sha256: a }] }),
  );
  expect(await isRunnable("m/model.layers.1", a)).toBe(true);
  expect(await isRunnable("m/model.layers.1", b)).toBe(false);
  // The same weights, imported under another name: the engine does not answer to it.
  expect(await isRunnable("other/model.layers.1", a)).toBe(false);
});
