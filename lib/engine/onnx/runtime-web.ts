/**
 * onnxruntime-web behind `Runtime`, in the thread that calls it: in a tab that is a Web Worker, which has nothing else to do. Graphs and weights are bytes in
 * memory, given by their paths.
 */
import type { InferenceSession, Tensor as OrtTensor, TypedTensor } from "onnxruntime-web";
import { FacetError } from "@/lib/core/errors";
import { memoryError } from "../web/memory";
import { Draft as Drafted, RankBounds } from "./draft.mjs";
import { checkedOf } from "./hook-wire.mjs";
import { firstPositions, gatherRows, type Rows } from "./kept-rows.mjs";
import type { Checked, Draft, DraftStep, Earlier, Hook, HookReport, HookStep, Passed, Runtime, Session, Step, Tensor } from "./runtime";
import { hookWeights, joined, TokenHook } from "./token-hook.mjs";

/** What is used of the package, whichever of its builds it is. */
export type OrtWeb = Pick<typeof import("onnxruntime-web"), "InferenceSession" | "Tensor" | "env">;

export interface WebRuntimeOptions {
  ort: OrtWeb;
  /** Every graph and file of weights by its path, relative to the engine's folder. */
  files: ReadonlyMap<string, Uint8Array>;
  /** What runs the graphs; `webgpu` needs the package's build of that name, and hands to WASM what it cannot do. */
  provider: "wasm" | "webgpu";
}

type Outputs = Record<string, OrtTensor>;

const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/") + 1);
const floats = (tensor: OrtTensor | undefined) => tensor?.data as Float32Array;

/** The whole numbers of an int64 tensor, all below 2³¹. */
const whole = (tensor: OrtTensor | undefined) => Int32Array.from(tensor?.data as BigInt64Array, Number);

export interface WebRuntime extends Runtime {
  keptTensors(): number;
  /** Closes every session, which gives the memory of their weights back; what still runs is waited for. Nothing can be run after it. */
  end(): Promise<void>;
}

/** A runtime over files in memory. Its `alive` turns false when the graphics device is lost: whatever was opened must be opened again. */
export function webRuntime({ ort, files, provider }: WebRuntimeOptions): WebRuntime {
  const kept = new Map<number, OrtTensor>();
  const sessions = new Map<Session, InferenceSession>();
  const hooks = new Map<number, { hook: TokenHook; bounds: RankBounds }>();
  const drafts = new Map<number, Drafted>();
  let last = 0;
  let alive = true;

  const tensorOf = (tensor: Tensor): OrtTensor => {
    if (tensor.kept !== undefined) return kept.get(tensor.kept) as OrtTensor;
    const { data, dims } = tensor;
    if (data instanceof BigInt64Array) return new ort.Tensor("int64", data, [...dims]);
    return new ort.Tensor("float32", data as Float32Array, [...dims]);
  };
  const keep = (tensor: OrtTensor): Tensor => {
    kept.set(++last, tensor);
    return { dims: tensor.dims, kept: last };
  };
  const plain = (tensor: OrtTensor): Tensor => ({ dims: tensor.dims, data: tensor.data as Float32Array | BigInt64Array });
  const keepRows = ({ data, dims }: Rows) => keep(new ort.Tensor("float32", data, dims));

  /** One call after the other: the package lays a call's names on a stack that a second one, begun amid it, would take away. */
  let turn: Promise<unknown> = Promise.resolve();
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work, work);
    turn = mine.catch(() => {});
    return mine;
  };

  const call = async (session: InferenceSession, feeds: Outputs): Promise<Outputs> => {
    try {
      return (await alone(() => session.run(feeds))) as Outputs;
    } catch (cause) {
      // A device that is lost stays lost; what is left of the runtime on it is of no use.
      if (provider === "webgpu") alive = false;
      throw failure(cause, provider);
    }
  };

  const runStep = async ({ session, feeds, keep: keeps = [], give }: Step, given: Outputs[]): Promise<[Outputs, Passed]> => {
    const inputs = Object.entries(feeds).map(([name, value]: [string, Tensor | Earlier]): [string, OrtTensor] => {
      if (!("step" in value)) return [name, tensorOf(value)];
      const earlier = given[value.step]?.[value.name] as OrtTensor;
      return [name, value.dims ? earlier.reshape([...value.dims]) : earlier];
    });
    const outputs = await call(sessions.get(session) as InferenceSession, Object.fromEntries(inputs));
    const kept = new Set(keeps);
    const names = give ?? Object.keys(outputs);
    const passed = names.map((name): [string, Tensor] => {
      const tensor = outputs[name] as OrtTensor;
      return [name, kept.has(name) ? keep(tensor) : plain(tensor)];
    });
    return [outputs, Object.fromEntries(passed)];
  };

  const runHook = async ({ hook, states: from, arms, listed }: HookStep, given: Outputs[]): Promise<[Outputs, HookReport]> => {
    const { hook: own } = hooks.get(hook.number) as { hook: TokenHook };
    const { width } = own.weights;
    const tensor = given[from.step]?.[from.name] as OrtTensor;
    const states = arms.map((_, i) => floats(tensor).subarray(i * width, (i + 1) * width));
    const clamped = await own.clamp(states, arms, listed);
    const after = listed ? await own.codesAfter(states, clamped) : [];
    const output = joined(clamped.slabs.map((slab) => slab.output));
    return [{ hidden: new ort.Tensor("float32", output, [...tensor.dims]) }, { ...clamped, states, after }];
  };

  const runDraft = async ({ draft, states: from, members, check }: DraftStep, given: Outputs[]): Promise<[Outputs, Checked | null]> => {
    const tensor = given[from.step]?.[from.name] as OrtTensor;
    // The states are written to where they lie.
    const hidden = new ort.Tensor("float32", floats(tensor).slice(), [...tensor.dims]) as TypedTensor<"float32">;
    const report = await (drafts.get(draft.kept) as Drafted).step(hidden.data, [...members], check);
    return [{ hidden }, report && checkedOf(report)];
  };

  const chain: Runtime["chain"] = async (steps) => {
    const given: Outputs[] = [];
    const passed: Passed[] = [];
    for (const step of steps) {
      const [outputs, told] =
        "draft" in step ? await runDraft(step, given) : "hook" in step ? await runHook(step, given) : await runStep(step, given);
      given.push(outputs);
      passed.push(told);
      // What would follow stands on a wrong guess.
      if ("draft" in step && told && (told as Checked).wrong !== null) break;
    }
    return passed;
  };

  const open = async (path: string): Promise<Session> => {
    const graph = files.get(path);
    if (!graph)
      throw new FacetError("engine_unavailable", `The model's file ${path} was not loaded.`, { fix: "Reload the page and try again." });
    const folder = folderOf(path);
    const beside = [...files].filter(([other]) => folderOf(other) === folder && other.endsWith(".safetensors"));
    try {
      const options: InferenceSession.SessionOptions = {
        executionProviders: provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
        externalData: beside.map(([other, data]) => ({ path: other.slice(folder.length), data })),
        logSeverityLevel: 3,
      };
      const own = await alone(() => ort.InferenceSession.create(graph, options));
      const session: Session = {
        run: async (feeds, keeps) => (await runStep({ session, feeds, keep: keeps }, []))[1] as Record<string, Tensor>,
      };
      sessions.set(session, own);
      return session;
    } catch (cause) {
      throw failure(cause, provider);
    }
  };

  return {
    name: "onnxruntime-web",
    version: ort.env.versions.web ?? ort.env.versions.common,
    get alive() {
      return alive;
    },
    open,
    chain,
    hook: async (weights, encode): Promise<Hook> => {
      const { k, width } = weights;
      const session = sessions.get(encode) as InferenceSession;
      const codes = async (states: Float32Array[]) => {
        const rows = joined(states);
        const { indices, values } = await call(session, { hidden: new ort.Tensor("float32", rows, [rows.length / width, width]) });
        return { k, indices: whole(indices), values: floats(values) };
      };
      hooks.set(++last, { hook: new TokenHook(hookWeights(weights), codes), bounds: new RankBounds() });
      return { number: last };
    },
    draft: async (hook, arms, forced): Promise<Draft> => {
      const { hook: own, bounds } = hooks.get(hook.number) as { hook: TokenHook; bounds: RankBounds };
      drafts.set(++last, new Drafted(own.weights, own.encode, bounds, [...arms], forced));
      return { kept: last };
    },
    settle: async (draft) => {
      const report = await (drafts.get(draft.kept) as Drafted).step(new Float32Array(0), [], true);
      if (!report) throw new Error("A draft that is settled is checked.");
      return checkedOf(report);
    },
    gather: async (parts) =>
      parts.map((rows) =>
        keepRows(gatherRows(rows.map(({ tensor, row }) => ({ tensor: kept.get(tensor.kept as number) as OrtTensor, row })))),
      ),
    trim: async (tensors, length) =>
      tensors.map(({ kept: number }) => keepRows(firstPositions(kept.get(number as number) as OrtTensor, length))),
    release: (tensors) => {
      for (const { kept: number } of tensors) if (number !== undefined && !kept.delete(number)) drafts.delete(number);
    },
    keptTensors: () => kept.size + drafts.size,
    end: async () => {
      alive = false;
      const all = [...sessions.values()];
      for (const held of [sessions, kept, hooks, drafts]) held.clear();
      // Of a device that is lost there is nothing to give back.
      for (const session of all) await alone(() => session.release()).catch(() => {});
    },
  };
}

/** What the runtime threw, in words: a tab's memory is small, and it says so in a number of ways. A graphics device's loss it words as any failure. */
function failure(cause: unknown, provider: WebRuntimeOptions["provider"]): FacetError {
  const full = memoryError(cause);
  if (full) return full;
  if (provider === "webgpu") {
    return new FacetError("engine_failed", "The browser's graphics device was lost or failed while the model ran.", {
      fix: "Run it again: the model is loaded anew, without the graphics device.",
      cause,
    });
  }
  return new FacetError("engine_failed", "The model failed in this tab.", { fix: "Reload the page and run it again.", cause });
}
