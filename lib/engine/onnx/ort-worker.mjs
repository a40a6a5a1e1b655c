// onnxruntime-node in a thread of its own: its `run` blocks the thread that calls it, which must not be the server's. Sessions, and the outputs
// that the caller asks to keep (caches), stay here and are named by number; everything else travels as plain arrays.
import { parentPort, workerData } from "node:worker_threads";
import ort from "onnxruntime-node";
import { armsOf, wireReport } from "./hook-wire.mjs";
import { hookWeights, joined, TokenHook } from "./token-hook.mjs";

if (!parentPort) throw new Error("ort-worker.mjs runs as a worker thread only.");
const port = parentPort;

/** @type {Map<number, import("onnxruntime-node").InferenceSession>} */
const sessions = new Map();
/** @type {Map<number, import("onnxruntime-node").Tensor>} */
const kept = new Map();
/** @type {Map<number, TokenHook>} */
const hooks = new Map();
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

/**
 * Clamps one row of each arm; `output` is what the upper half is fed, and the report tells of that very array.
 * @param {TokenHook} hook
 * @param {import("onnxruntime-node").Tensor} tensor
 * @param {import("./hook-wire.mjs").WiredArm[]} wired
 * @param {boolean} listed
 */
async function clampAt(hook, tensor, wired, listed) {
  const { width } = hook.weights;
  const hidden = /** @type {Float32Array} */ (tensor.data);
  const states = wired.map((_, i) => hidden.subarray(i * width, (i + 1) * width));
  const clamped = await hook.clamp(states, armsOf(wired), listed);
  const after = listed ? await hook.codesAfter(states, clamped) : [];
  const output = joined(clamped.slabs.map((slab) => slab.output));
  return wireReport(hidden, output, { ...clamped, states, after }, listed);
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

  async hook({ weights, session: number }) {
    const session = sessions.get(number);
    const { k, width } = weights;
    const encode = async (/** @type {Float32Array[]} */ states) => {
      const hidden = new ort.Tensor("float32", joined(states), [states.length, width]);
      const { indices, values } = await native(() => session.run({ hidden }));
      return { k, indices: Int32Array.from(indices.data, Number), values: values.data };
    };
    const hook = ++lastNumber;
    hooks.set(hook, new TokenHook(hookWeights(weights), encode));
    return hook;
  },

  async chain({ steps }) {
    const given = [];
    const reports = [];
    for (const { session, feeds, hook, states, arms, listed } of steps) {
      if (hook !== undefined) {
        const hidden = given[states.step][states.name];
        const report = await clampAt(hooks.get(hook), hidden, arms, listed);
        reports[given.length] = report;
        given.push({ hidden: new ort.Tensor("float32", report.output, hidden.dims) });
        continue;
      }
      const inputs = feeds.map(([name, { step, name: output, type, data, dims, kept: number }]) => {
        if (number !== undefined) return [name, kept.get(number)];
        if (step === undefined) return [name, new ort.Tensor(type, data, dims)];
        const earlier = given[step][output];
        return [name, dims ? earlier.reshape(dims) : earlier];
      });
      given.push(await native(() => sessions.get(session).run(Object.fromEntries(inputs))));
    }
    return given.map((outputs, step) => {
      if (reports[step]) return reports[step];
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
