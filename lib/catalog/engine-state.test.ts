import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

const place = vi.hoisted(() => ({ engineDir: "" }));
const worker = vi.hoisted(() => ({ says: "none" }));
vi.mock("@/lib/env", () => ({ env: place }));
vi.mock("@/lib/workers/workers", () => ({ workerSays: async () => worker.says }));
const { engineState } = await import("./engine-state");

const a = "a".repeat(64);
const b = "b".repeat(64);
beforeEach(async () => {
  place.engineDir = await mkdtemp(path.join(tmpdir(), "facet-engine-state-"));
  worker.says = "none";
});
afterEach(() => rm(place.engineDir, { recursive: true, force: true }));

const exportModel = () =>
  writeFile(
    path.join(place.engineDir, "engine.json"),
    JSON.stringify({ model: { id: "m" }, dictionaries: [{ id: "model.layers.1", sha256: a }] }),
  );

it("knows the dictionaries that engine.json names, by address and hash", async () => {
  expect(await engineState("m/model.layers.1", a)).toBe("none");
  await exportModel();
  expect(await engineState("m/model.layers.1", a)).toBe("ready");
  expect(await engineState("m/model.layers.1", b)).toBe("none");
  // The same weights, imported under another name: the engine does not answer to it.
  expect(await engineState("other/model.layers.1", a)).toBe("none");
});

it("asks the workers first, and runs by itself what it has while they are away", async () => {
  worker.says = "ready";
  expect(await engineState("m/model.layers.1", a)).toBe("ready");
  worker.says = "gone";
  expect(await engineState("m/model.layers.1", a)).toBe("unreachable");
  worker.says = "unknown";
  expect(await engineState("m/model.layers.1", a)).toBe("unreachable");
  await exportModel();
  expect(await engineState("m/model.layers.1", a)).toBe("ready");
  // A worker with other weights under the name would be asked, and refuse.
  worker.says = "other";
  expect(await engineState("m/model.layers.1", a)).toBe("none");
});
