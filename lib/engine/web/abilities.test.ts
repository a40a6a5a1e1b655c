import { expect, it } from "vitest";
import { type WebRuntimeOptions, webRuntime } from "../onnx/runtime-web";
import { pixelNote, refuseUnable, threadsHere } from "./abilities";
import { memoryError, memoryWarning } from "./memory";

const able = { WebAssembly, OffscreenCanvas: class {} };
const said = (scope: Parameters<typeof refuseUnable>[0]) => {
  try {
    refuseUnable(scope);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
};

it("refuses a browser that lacks what every model needs, before anything is fetched", () => {
  expect(said(able)).toBeNull();
  expect(said({ ...able, WebAssembly: undefined })).toContain("runs no WebAssembly");
  // What knows the rest of WebAssembly but no vector type.
  const plain = { validate: (bytes: Uint8Array<ArrayBuffer>) => WebAssembly.validate(bytes) && !bytes.includes(0x7b) };
  expect(said({ ...able, WebAssembly: plain })).toContain("no SIMD");
  expect(said({ ...able, OffscreenCanvas: undefined })).toContain("draws no pictures");
});

it("computes on one thread where threads may share no memory, and says why", () => {
  expect(threadsHere({ crossOriginIsolated: true, SharedArrayBuffer }, 8)).toEqual({ threads: 4, note: null });
  expect(threadsHere({ crossOriginIsolated: true, SharedArrayBuffer }, undefined)).toEqual({ threads: 1, note: null });
  expect(threadsHere({ crossOriginIsolated: false, SharedArrayBuffer }, 8)).toMatchObject({
    threads: 1,
    note: expect.stringContaining("not isolated"),
  });
  expect(threadsHere({ crossOriginIsolated: true }, 8)).toMatchObject({ threads: 1, note: expect.stringContaining("shares no memory") });
});

/** A canvas that gives what was drawn, or, as a protection does, something else of one pixel. */
function canvas(side: number, change: (value: number) => number = (value) => value) {
  const data = new Uint8ClampedArray(4 * side * side);
  const context = {
    fillStyle: "" as unknown,
    fillRect(x: number, y: number) {
      data.set([...String(context.fillStyle).matchAll(/\d+/g)].map(Number).concat(255), 4 * (y * side + x));
    },
    getImageData: () => ({ data: data.map((value, i) => (i === 401 ? change(value) : value)) }),
  };
  return { getContext: () => context };
}

it("says where the browser gives other pixels than were drawn, be it one by one step", () => {
  expect(pixelNote((side) => canvas(side))).toBeNull();
  expect(pixelNote((side) => canvas(side, (value) => value ^ 1))).toContain("changes the pixels that a page reads of pictures");
});

it("warns where the device's memory is small for the model, and of none that tells nothing", () => {
  expect(memoryWarning(29e6, undefined)).toBeNull();
  expect(memoryWarning(29e6, 1)).toBeNull();
  expect(memoryWarning(29e6, 0.5)).toBe(
    "This device has about 0.5 GB of memory and the model takes about 257 MB of it, so the browser may end this tab: close others first.",
  );
  expect(memoryWarning(1.2e9, 4)).toContain("about 3770 MB");
});

it("takes a failed allocation for what it is, in every engine's words, and a device that is lost for another", async () => {
  const texts = [
    "Array buffer allocation failed",
    "std::bad_alloc",
    "Out of memory",
    "allocation size overflow",
    "Invalid typed array length: 9",
  ];
  for (const text of texts) expect(memoryError(new Error(text))?.code, text).toBe("engine_out_of_memory");
  expect(memoryError(new RangeError("Length out of range of buffer"))?.code).toBe("engine_out_of_memory");
  expect(memoryError(new RangeError("Maximum call stack size exceeded"))).toBeNull();
  expect(memoryError(new TypeError("x is not a function"))).toBeNull();

  const failing = (message: string, provider: WebRuntimeOptions["provider"] = "webgpu") =>
    webRuntime({
      ort: {
        InferenceSession: { create: async () => Promise.reject(new Error(message)) },
        env: { versions: {} },
      } as unknown as WebRuntimeOptions["ort"],
      files: new Map([["a.onnx", new Uint8Array(1)]]),
      provider,
    }).open("a.onnx");
  await expect(failing("failed to allocate a buffer")).rejects.toMatchObject({ code: "engine_out_of_memory" });
  // How the runtime words a lost device differs; on the device whatever fails is taken for that.
  for (const text of ["GPUDevice was lost: destroyed, device is lost", "failed to call OrtRun(). ERROR_CODE: 1"]) {
    await expect(failing(text)).rejects.toMatchObject({
      code: "engine_failed",
      message: "The browser's graphics device was lost or failed while the model ran.",
    });
  }
  await expect(failing("failed to call OrtRun(). ERROR_CODE: 1", "wasm")).rejects.toMatchObject({
    message: "The model failed in this tab.",
  });
});
