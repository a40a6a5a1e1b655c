import { expect, it, vi } from "vitest";
import type { Provider } from "@/lib/core/engine-package";
import type { LoadedEngine } from "../onnx/load";
import { type OrtWeb, webRuntime } from "../onnx/runtime-web";
import { type StartedModel, startModel } from "./start-model";

/** Models whose states are `states[provider]`; `log` has what was done, `overlaps` whether two computed at the same time. */
function models(states: Partial<Record<Provider, number>>) {
  const log: string[] = [];
  let computing = 0;
  let overlaps = false;
  const start = async (on: Provider): Promise<StartedModel> => {
    log.push(`start ${on}`);
    const value = states[on];
    if (value === undefined) throw new Error("no such device");
    const model = {
      manifest: { image: { size: 2 } },
      vision: async () => {
        overlaps ||= ++computing > 1;
        await new Promise((resolve) => setTimeout(resolve, 2));
        computing--;
        return [new Float32Array(2)];
      },
      lower: async () => ({ states: new Float32Array([1, value]), cache: [] }),
      release: () => {},
    };
    return { loaded: { model, name: on } as unknown as LoadedEngine, end: async () => void log.push(`end ${on}`) };
  };
  return { log, start, overlaps: () => overlaps };
}

it("keeps the graphics device where it computes as the processor does, one model after the other, and ends the one that is not used", async () => {
  const { log, start, overlaps } = models({ wasm: 5, webgpu: 5.0001 });
  const here = await startModel("webgpu", start);
  expect([here.provider, here.refused, overlaps()]).toEqual(["webgpu", false, false]);
  expect(log).toEqual(["start wasm", "start webgpu", "end wasm"]);
  expect(await here.load()).toMatchObject({ name: "webgpu" });
});

it.each([
  ["computes something else", { wasm: 5, webgpu: 5.1 }, ["start wasm", "start webgpu", "end webgpu"]],
  ["computes no number", { wasm: 5, webgpu: Number.NaN }, ["start wasm", "start webgpu", "end webgpu"]],
  ["does not start", { wasm: 5 }, ["start wasm", "start webgpu"]],
])("takes the processor where the graphics device %s", async (_, states, wanted) => {
  const { log, start } = models(states);
  const here = await startModel("webgpu", start);
  expect([here.provider, here.refused]).toEqual(["wasm", true]);
  expect(log).toEqual(wanted);
  expect(await here.load()).toMatchObject({ name: "wasm" });
});

it("asks for no graphics device where the processor is wanted, and throws what it throws", async () => {
  const { log, start } = models({ wasm: 5 });
  expect(await startModel("wasm", start)).toMatchObject({ provider: "wasm", refused: false });
  expect(log).toEqual(["start wasm"]);
  await expect(startModel("wasm", models({}).start)).rejects.toThrow("no such device");
});

it("goes on with the processor once the graphics device is lost, and says so once", async () => {
  const { log, start } = models({ wasm: 5, webgpu: 5 });
  const onProcessor = vi.fn();
  const here = await startModel("webgpu", start, onProcessor);
  await here.load();
  expect(onProcessor).not.toHaveBeenCalled();
  expect(await here.load()).toMatchObject({ name: "wasm" });
  expect(here.provider).toBe("wasm");
  await here.load();
  expect(onProcessor).toHaveBeenCalledTimes(1);
  expect(log.slice(3)).toEqual(["end webgpu", "start wasm", "end wasm", "start wasm"]);
});

it("gives the memory of a runtime's sessions back, after what still runs", async () => {
  const told: string[] = [];
  let finish = () => {};
  const session = {
    run: () =>
      new Promise((resolve) => {
        finish = () => {
          told.push("ran");
          resolve({});
        };
      }),
    release: async () => void told.push("released"),
  };
  const ort = { InferenceSession: { create: async () => session }, env: { versions: {} } } as unknown as OrtWeb;
  const runtime = webRuntime({ ort, files: new Map([["a.onnx", new Uint8Array(1)]]), provider: "wasm" });
  const opened = [await runtime.open("a.onnx"), await runtime.open("a.onnx")];
  const running = opened[0]?.run({});
  await Promise.resolve();
  const ended = runtime.end();
  finish();
  await Promise.all([running, ended]);
  expect(told).toEqual(["ran", "released", "released"]);
  expect(runtime.alive).toBe(false);
});
