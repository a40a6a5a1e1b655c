// onnxruntime-node in a thread of its own: its `run` blocks the thread that calls it, which must not be the server's. Sessions, and the outputs
// that the caller asks to keep (caches), stay here and are named by number; everything else travels as plain arrays.
import { parentPort, workerData } from "node:worker_threads";
import ort from "onnxruntime-node";
import { Draft, RankBounds } from "./draft.mjs";
import { armsOf, wireReport } from "./hook-wire.mjs";
import { firstPositions, gatherRows } from "./kept-rows.mjs";
import { hookWeights, joined, TokenHook } from "./token-hook.mjs";

if (!parentPort) throw new Error("ort-worker.mjs runs as a worker thread only.");
const port = parentPort;

/** @type {Map<number, import("onnxruntime-node").InferenceSession>} */
const sessions = new Map();
/** @type {Map<number, import("onnxruntime-node").Tensor>} */
const kept = new Map();
/** @type {Map<number, { hook: TokenHook, bounds: RankBounds }>} */
const hooks = new Map();
/** @type {Map<number, Draft>} */
const drafts = new Map();
let lastNumber = 0;

/** Shared with the server's thread: how many native calls are under way, and whether more may begin (see runtime-node.ts). */
const calls = new Int32Array(workerData.calls);

/** Of a token whose clamps were guessed. */
const noReport = {};

/**
 * Non-negative 64-bit integers below 2³¹ as 32-bit ones, on the little-endian machines that there are: converting each takes longer than finding it.
 * @param {BigInt64Array} wide
 */
function lowWords({ buffer, byteOffset, length }) {
  const words = new Int32Array(buffer, byteOffset, 2 * length);
  return Int32Array.from({ length }, (_, i) => words[2 * i]);
}

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

/** @param {import("./kept-rows.mjs").Rows} rows */
function keepRows({ data, dims }) {
  kept.set(++lastNumber, new ort.Tensor("float32", data, dims));
  return { dims, kept: lastNumber };
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
      const rows = joined(states);
      const hidden = new ort.Tensor("float32", rows, [rows.length / width, width]);
      const { indices, values } = await native(() => session.run({ hidden }));
      return { k, indices: lowWords(indices.data), values: values.data };
    };
    const hook = ++lastNumber;
    hooks.set(hook, { hook: new TokenHook(hookWeights(weights), encode), bounds: new RankBounds() });
    return hook;
  },

  async draft({ hook: number, arms, forced }) {
    const { hook, bounds } = hooks.get(number);
    drafts.set(++lastNumber, new Draft(hook.weights, hook.encode, bounds, armsOf(arms), forced));
    return lastNumber;
  },

  async settle({ draft }) {
    return await drafts.get(draft).step(new Float32Array(0), [], true);
  },

  async chain({ steps }) {
    const given = [];
    const reports = [];
    for (const { session, feeds, hook, states, arms, listed, draft, members, check } of steps) {
      if (draft !== undefined) {
        const hidden = given[states.step][states.name];
        const report = await drafts.get(draft).step(hidden.data, members, check);
        reports[given.length] = report ?? noReport;
        given.push({ hidden });
        // What would follow stands on a wrong guess.
        if (report && report.wrong >= 0) break;
        continue;
      }
      if (hook !== undefined) {
        const hidden = given[states.step][states.name];
        const report = await clampAt(hooks.get(hook).hook, hidden, arms, listed);
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
      if (reports[step]) return reports[step] === noReport ? null : reports[step];
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
    return parts.map((rows) => keepRows(gatherRows(rows.map(({ kept: number, row }) => ({ tensor: kept.get(number), row })))));
  },

  /** The first `length` positions of kept [batch, heads, positions, width]. */
  async trim({ tensors, length }) {
    return tensors.map((number) => keepRows(firstPositions(kept.get(number), length)));
  },

  /** Nothing but what every message does. */
  async release() {},

  async count() {
    return kept.size + drafts.size;
  },
};

port.on("message", async ({ id, action, unneeded = [], ...message }) => {
  for (const number of unneeded) if (!kept.delete(number)) drafts.delete(number);
  try {
    port.postMessage({ id, result: await actions[action](message) });
  } catch (error) {
    port.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
});
