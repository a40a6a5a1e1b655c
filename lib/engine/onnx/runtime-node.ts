/** onnxruntime-node, in a worker thread, behind `Runtime`. */
import path from "node:path";
import { Worker } from "node:worker_threads";
import { FacetError } from "@/lib/core/errors";
import { env } from "@/lib/env";
import type { DraftReport } from "./draft.mjs";
import { checkedOf, reportOf, type WiredReport, wireArms } from "./hook-wire.mjs";
import type { Earlier, HookStep, Passed, Runtime, Session, Tensor, Tensors } from "./runtime";

const sessionOptions = {
  executionProviders: ["cpu"],
  // A decoding step of a small model gains nothing from a second thread, and waits for it whenever the machine is busy.
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
};

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

type Reply = { id: number; result: unknown } | { id: number; error: string };

export interface NodeRuntimeOptions {
  /** How long the thread may give no answer while something is asked of it, before it is given up. */
  patienceMs?: number;
  /** The thread's script, for tests. */
  script?: string;
}

const threads = new Set<Thread>();
const longestCallMs = 10_000;

/**
 * Questions to the thread and its answers. Only while one is open does the thread keep the process alive. A thread that is ended amid a native
 * call aborts the whole process ("terminate called after throwing an instance of 'Napi::Error'"), so whoever ends it waits for the call.
 */
class Thread {
  private readonly worker: Worker;
  /** Shared with the thread: how many native calls are under way, and whether more may begin (0) or not (1). */
  private readonly calls = new Int32Array(new SharedArrayBuffer(8));
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private failure: Error | null = null;
  private lastHeard = 0;
  private readonly watchdog: NodeJS.Timeout;

  constructor({ patienceMs = env.enginePatienceMs, script }: NodeRuntimeOptions) {
    // Built from parts at run time: a bundler must leave the file where it is.
    const file = script ?? path.join(/* turbopackIgnore: true */ env.root, "lib", "engine", "onnx", "ort-worker.mjs");
    // What came in while this thread itself was held up is looked at first.
    this.watchdog = setTimeout(() => setImmediate(() => this.abandonIfSilent(patienceMs)), patienceMs).unref();
    this.worker = new Worker(/* turbopackIgnore: true */ file, { execArgv: [], name: "engine", workerData: { calls: this.calls.buffer } });
    this.worker.unref();
    this.worker.on("message", (reply: Reply) => this.settle(reply));
    this.worker.on("error", (error) => this.fail(error));
    this.worker.on("exit", (code) => {
      threads.delete(this);
      if (threads.size === 0) process.off("exit", settleAll);
      this.fail(new Error(`The engine's thread ended with code ${code}.`));
    });
    if (threads.size === 0) process.on("exit", settleAll);
    threads.add(this);
  }

  get alive(): boolean {
    return this.failure === null;
  }

  ask(action: string, message: object = {}): Promise<unknown> {
    if (this.failure) return Promise.reject(this.failure);
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      if (this.pending.size === 0) {
        this.worker.ref();
        this.heard();
      }
      this.pending.set(id, { resolve, reject });
      this.worker.postMessage({ id, action, ...message });
    });
  }

  async end(): Promise<void> {
    // From here on: whoever came between this and the thread's exit would be let begin on it and then cut off.
    this.failure ??= new Error("The engine's thread was ended.");
    Atomics.store(this.calls, 1, 1);
    while (Atomics.load(this.calls, 0) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await this.worker.terminate();
  }

  /** Lets no native call begin and holds this thread until none is under way: when the process ends, nothing else can wait. */
  settleNow(): void {
    Atomics.store(this.calls, 1, 1);
    const deadline = performance.now() + longestCallMs;
    for (let open = Atomics.load(this.calls, 0); open > 0; open = Atomics.load(this.calls, 0)) {
      const left = deadline - performance.now();
      if (left <= 0) return;
      Atomics.wait(this.calls, 0, open, left);
    }
  }

  /** The thread has answered, or was asked first after it had nothing to do: its patience begins anew. */
  private heard(): void {
    this.lastHeard = performance.now();
    this.watchdog.refresh();
  }

  private abandonIfSilent(patienceMs: number): void {
    if (this.failure || this.pending.size === 0) return;
    if (performance.now() - this.lastHeard < patienceMs) {
      this.watchdog.refresh();
      return;
    }
    threads.delete(this);
    this.worker.unref();
    this.fail(
      new FacetError("engine_failed", `The engine gave no answer for ${Math.round(patienceMs / 1000)} seconds and was given up.`, {
        fix: "Run it again: another engine is started. If it stays silent, ask for less (a shorter prompt, fewer pictures) or restart the server.",
      }),
    );
    void this.endWhenIdle();
  }

  /** Ends a thread that was given up, once it is in no native call: it may never be, and must not keep the process alive by that. */
  private async endWhenIdle(): Promise<void> {
    Atomics.store(this.calls, 1, 1);
    while (Atomics.load(this.calls, 0) > 0) await new Promise((resolve) => setTimeout(resolve, 1_000).unref());
    await this.worker.terminate();
  }

  private settle(reply: Reply): void {
    this.heard();
    const waiting = this.pending.get(reply.id);
    this.pending.delete(reply.id);
    if (this.pending.size === 0) this.worker.unref();
    if ("error" in reply) waiting?.reject(new Error(reply.error));
    else waiting?.resolve(reply.result);
  }

  private fail(error: Error): void {
    this.failure ??= error;
    clearTimeout(this.watchdog);
    for (const { reject } of this.pending.values()) reject(this.failure);
    this.pending.clear();
  }
}

function settleAll(): void {
  for (const thread of threads) thread.settleNow();
}

/** What the thread is fed under a name: data, one of its own tensors, or what an earlier step gave. */
function input([name, given]: [string, Tensor | Earlier]): [string, object] {
  return [name, "data" in given && given.data ? { type: typeOf(given), ...given } : given];
}

function typeOf(tensor: Tensor): "int64" | "float32" {
  return tensor.data instanceof BigInt64Array ? "int64" : "float32";
}

export interface NodeRuntime extends Runtime {
  /** Tensors that the thread keeps. */
  keptTensors(): Promise<number>;
  /** Ends the thread after the step that it is in; whoever asks more of it fails. */
  end(): Promise<void>;
}

/** Graphs are found relative to `folder`. */
export async function nodeRuntime(folder: string, options: NodeRuntimeOptions = {}): Promise<NodeRuntime> {
  const thread = new Thread(options);
  const version = (await thread.ask("version")) as string;
  const numbers = new Map<Session, number>();
  const open = async (file: string): Promise<Session> => {
    const number = await thread.ask("open", { file: path.join(/* turbopackIgnore: true */ folder, file), options: sessionOptions });
    const session: Session = { run: async (feeds, keep) => (await chain([{ session, feeds, keep }]))[0] as Tensors };
    numbers.set(session, number as number);
    return session;
  };
  // What was given up goes along with the next message: a message of its own, and its answer, would be felt with each token.
  let unneeded: number[] = [];
  let waiting = false;
  const ask = (action: string, message: object = {}) => {
    const numbers = unneeded;
    unneeded = [];
    return thread.ask(action, { ...message, unneeded: numbers });
  };
  const flush = () => {
    waiting = false;
    // A thread that has ended keeps nothing.
    if (unneeded.length) ask("release").catch(() => {});
  };
  const chain: Runtime["chain"] = async (steps) => {
    const named = steps.map((step) => {
      if ("draft" in step) return { ...step, draft: step.draft.kept };
      if ("hook" in step) return { ...step, hook: step.hook.number, arms: wireArms(step.arms) };
      const { session, feeds, keep = [], give } = step;
      return { session: numbers.get(session), feeds: Object.entries(feeds).map(input), keep, give };
    });
    const passed = (await ask("chain", { steps: named })) as ([string, Tensor][] | WiredReport | DraftReport | null)[];
    return passed.map((given, i): Passed => {
      if (given === null) return null;
      if (Array.isArray(given)) return Object.fromEntries(given);
      return "wrong" in given ? checkedOf(given) : reportOf(given, (steps[i] as HookStep).arms.length);
    });
  };
  return {
    name: "onnxruntime-node",
    version,
    get alive() {
      return thread.alive;
    },
    open,
    hook: async (weights, encode) => ({ number: (await ask("hook", { weights, session: numbers.get(encode) })) as number }),
    chain,
    gather: async (parts) => {
      const numbers = parts.map((rows) => rows.map(({ tensor: { kept }, row }) => ({ kept, row })));
      return (await ask("gather", { parts: numbers })) as Tensor[];
    },
    draft: async (hook, arms, forced) => ({ kept: (await ask("draft", { hook: hook.number, arms: wireArms(arms), forced })) as number }),
    settle: async (draft) => checkedOf((await ask("settle", { draft: draft.kept })) as DraftReport),
    trim: async (tensors, length) => (await ask("trim", { tensors: tensors.map(({ kept }) => kept), length })) as Tensor[],
    release: (tensors) => {
      for (const { kept } of tensors) if (kept !== undefined) unneeded.push(kept);
      if (!waiting) setTimeout(flush, 50).unref();
      waiting = true;
    },
    keptTensors: async () => (await ask("count")) as number,
    end: () => thread.end(),
  };
}
