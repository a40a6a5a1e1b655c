import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { type GenerateRequest, generateRequestSchema } from "@/lib/core/protocol";
import { env } from "@/lib/env";
import { RequestQueue } from "../queue";
import { readManifest } from "../registry";
import { loadEngine, loadSharedModel, parseManifest } from "./load";
import { OnnxEngine } from "./onnx-engine";

/** A process that begins a run of the vision graph, long enough to be met amid it, and then does `last`. */
async function processAmidRun(last: string): Promise<{ code: unknown; signal: unknown; output: string }> {
  const { size } = parseManifest((await readManifest(env.engineDir)) ?? "").image;
  const script = `
    const { nodeRuntime } = await import("./lib/engine/onnx/runtime-node.ts");
    const runtime = await nodeRuntime(${JSON.stringify(env.engineDir)});
    const session = await runtime.open("vision.onnx");
    const dims = [16, 3, ${size}, ${size}];
    const feeds = { pixel_values: { data: new Float32Array(dims.reduce((a, b) => a * b)), dims } };
    const under = Promise.all([session.run(feeds), session.run(feeds)]).then(() => "ran", (error) => error.message);
    await new Promise((resolve) => setTimeout(resolve, 30));
    ${last}
  `;
  return new Promise((resolve) => {
    const args = ["--import", "tsx", "--input-type=module", "-e", script];
    execFile(process.execPath, args, { cwd: path.resolve("."), timeout: 100_000 }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, signal: error?.signal ?? null, output: stdout + stderr });
    });
  });
}

describe("nodeRuntime", () => {
  it("lets the process end amid a run, without a crash", async () => {
    expect(await processAmidRun("process.exit(7);")).toEqual({ code: 7, signal: null, output: "" });
  });

  it("is ended amid a run, without a crash", async () => {
    const last = `
      const ended = runtime.end();
      const refused = () => session.run(feeds).catch(() => "refused");
      console.log(runtime.alive, await refused());
      await ended;
      console.log(runtime.alive, await refused());`;
    expect(await processAmidRun(last)).toEqual({ code: 0, signal: null, output: "false refused\nfalse refused\n" });
  });

  it("gives up a thread that answers no more, and the next in line runs on another", async () => {
    const manifest = parseManifest((await readManifest(env.engineDir)) ?? "");
    const [dictionary] = manifest.dictionaries;
    if (!dictionary) throw new Error("engine.json names no dictionary.");
    const folder = await mkdtemp(path.join(os.tmpdir(), "facet-hang-"));
    process.env.FACET_TEST_HANG = path.join(folder, "hang");
    const script = path.resolve("lib/engine/onnx/fixtures/hanging-worker.mjs");
    const load = async () =>
      loadEngine(env.engineDir, manifest, dictionary, await loadSharedModel(env.engineDir, manifest, { patienceMs: 6_000, script }));
    const engine = new OnnxEngine(manifest, dictionary, load, new RequestQueue(1, 2), new RequestQueue(1, 1));
    const asked = generateRequestSchema.parse({
      dictionary: engine.ref,
      messages: [{ role: "user", content: [{ type: "text", text: "is there a dog ?" }] }],
      sampling: { maxTokens: 4 },
    });
    const events = async (request: GenerateRequest) => {
      const types: string[] = [];
      const options = { signal: new AbortController().signal, unitOf: () => 1, resolveImage: () => Promise.reject(new Error("no image")) };
      for await (const event of engine.generate(request, options)) types.push(event.type);
      return types;
    };
    try {
      const { runtime } = (await engine.loaded()).model;
      expect((await events(asked)).at(-1)).toBe("done");
      await writeFile(process.env.FACET_TEST_HANG, "");
      const [stuck, next] = await Promise.allSettled([events(asked), events(asked)]);
      expect(stuck).toMatchObject({
        reason: {
          code: "engine_failed",
          message: expect.stringContaining("no answer for 6 seconds"),
          fix: expect.stringContaining("again"),
        },
      });
      expect(next).toMatchObject({ status: "fulfilled", value: expect.arrayContaining(["queued", "token", "done"]) });
      expect(runtime.alive).toBe(false);
      expect((await engine.loaded()).model.runtime.alive).toBe(true);
    } finally {
      delete process.env.FACET_TEST_HANG;
      await rm(folder, { recursive: true, force: true });
    }
  });
});
