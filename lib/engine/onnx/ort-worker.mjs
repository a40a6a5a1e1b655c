// onnxruntime-node in a thread of its own: its `run` blocks the thread that calls it, which must not be the server's. Sessions, and the outputs
// that the caller asks to keep (caches), stay here and are named by number; everything else travels as plain arrays.
import { parentPort, workerData } from "node:worker_threads";
import ort from "onnxruntime-node";

if (!parentPort) throw new Error("ort-worker.mjs runs as a worker thread only.");
const port = parentPort;

/** @type {Map<number, import("onnxruntime-node").InferenceSession>} */
const sessions = new Map();
/** @type {Map<number, import("onnxruntime-node").Tensor>} */
const kept = new Map();
let lastNumber = 0;

/** Shared with the server's thread: how many native calls are under way, and whether more may begin (see runtime-node.ts). */
const calls = new Int32Array(workerData.calls);

/**
 * @template T
 * @param {() => Promise<T>} call
 */
async function native(call) {
  Atomics.add(calls, 0, 1);
  try {
    if (Atomics.load(calls, 1)) throw new Error("The engine is being stopped.");
    return await call();
  } finally {
    Atomics.sub(calls, 0, 1);
    Atomics.notify(calls, 0);
  }
}

/** @type {Record<string, (message: any) => Promise<unknown>>} */
const actions = {
  async version() {
    return ort.env.versions.node ?? ort.env.versions.common;
  },

  async open({ file, options }) {
    const number = ++lastNumber;
    sessions.set(number, await native(() => ort.InferenceSession.create(file, options)));
    return number;
  },

  async chain({ steps }) {
    const given = [];
    for (const { session, feeds } of steps) {
      const inputs = feeds.map(([name, { step, name: output, type, data, dims, kept: number }]) => {
        if (number !== undefined) return [name, kept.get(number)];
        if (step === undefined) return [name, new ort.Tensor(type, data, dims)];
        const earlier = given[step][output];
        return [name, dims ? earlier.reshape(dims) : earlier];
      });
      given.push(await native(() => sessions.get(session).run(Object.fromEntries(inputs))));
    }
    return given.map((outputs, step) => {
      const { keep, give = Object.keys(outputs) } = steps[step];
      const keeps = new Set(keep);
      return give.map((name) => {
        const tensor = outputs[name];
        if (!keeps.has(name)) return [name, { dims: tensor.dims, data: tensor.data }];
        const number = ++lastNumber;
        kept.set(number, tensor);
        return [name, { dims: tensor.dims, kept: number }];
      });
    });
  },

  async gather({ parts }) {
    return parts.map((rows) => {
      const tensors = rows.map(({ kept: number }) => kept.get(number));
      const [, ...rest] = tensors[0].dims;
      const length = rest.reduce((product, dim) => product * dim, 1);
      const data = new Float32Array(rows.length * length);
      for (const [i, { row }] of rows.entries()) data.set(tensors[i].data.subarray(row * length, (row + 1) * length), i * length);
      const number = ++lastNumber;
      kept.set(number, new ort.Tensor("float32", data, [rows.length, ...rest]));
      return { dims: [rows.length, ...rest], kept: number };
    });
  },

  /** Nothing but what every message does. */
  async release() {},

  async count() {
    return kept.size;
  },
};

port.on("message", async ({ id, action, unneeded = [], ...message }) => {
  for (const number of unneeded) kept.delete(number);
  try {
    port.postMessage({ id, result: await actions[action](message) });
  } catch (error) {
    port.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
});
