import { execFile } from "node:child_process";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { env } from "@/lib/env";
import { readManifest } from "../registry";
import { parseManifest } from "./load";

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
});
