/** onnxruntime-node, in a worker thread, behind `Runtime`. */
import path from "node:path";
import { Worker } from "node:worker_threads";
import { env } from "@/lib/env";
import type { Runtime, Session, Tensor, Tensors } from "./runtime";

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

/** Questions to the thread and its answers. Only while one is open does the thread keep the process alive. */
class Thread {
  private readonly worker: Worker;
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private failure: Error | null = null;

  constructor() {
    // Built from parts at run time: a bundler must leave the file where it is.
    const file = path.join(/* turbopackIgnore: true */ env.root, "lib", "engine", "onnx", "ort-worker.mjs");
    this.worker = new Worker(/* turbopackIgnore: true */ file, { execArgv: [], name: "engine" });
    this.worker.unref();
    this.worker.on("message", (reply: Reply) => this.settle(reply));
    this.worker.on("error", (error) => this.fail(error));
    this.worker.on("exit", (code) => this.fail(new Error(`The engine's thread ended with code ${code}.`)));
  }

  get alive(): boolean {
    return this.failure === null;
  }

  ask(action: string, message: object = {}): Promise<unknown> {
    if (this.failure) return Promise.reject(this.failure);
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      if (this.pending.size === 0) this.worker.ref();
      this.pending.set(id, { resolve, reject });
      this.worker.postMessage({ id, action, ...message });
    });
  }

  end(): Promise<number> {
    return this.worker.terminate();
  }

  private settle(reply: Reply): void {
    const waiting = this.pending.get(reply.id);
    this.pending.delete(reply.id);
    if (this.pending.size === 0) this.worker.unref();
    if ("error" in reply) waiting?.reject(new Error(reply.error));
    else waiting?.resolve(reply.result);
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const { reject } of this.pending.values()) reject(this.failure);
    this.pending.clear();
  }
}

function typeOf(tensor: Tensor): "int64" | "float32" {
  return tensor.data instanceof BigInt64Array ? "int64" : "float32";
}

export interface NodeRuntime extends Runtime {
  /** Tensors that the thread keeps. */
  keptTensors(): Promise<number>;
  /** Ends the thread; what is under way fails. */
  end(): Promise<void>;
}

/** Graphs are found relative to `folder`. */
export async function nodeRuntime(folder: string): Promise<NodeRuntime> {
  const thread = new Thread();
  const version = (await thread.ask("version")) as string;
  const open = async (file: string): Promise<Session> => {
    const session = await thread.ask("open", { file: path.join(/* turbopackIgnore: true */ folder, file), options: sessionOptions });
    return {
      run: async (feeds, keep = []) => {
        const inputs = Object.entries(feeds).map(([name, tensor]) => [name, tensor.data ? { type: typeOf(tensor), ...tensor } : tensor]);
        return Object.fromEntries((await thread.ask("run", { session, feeds: inputs, keep })) as [string, Tensor][]) as Tensors;
      },
    };
  };
  return {
    name: "onnxruntime-node",
    version,
    get alive() {
      return thread.alive;
    },
    open,
    release: (tensors) => {
      const numbers = [...tensors].flatMap(({ kept }) => (kept === undefined ? [] : [kept]));
      // A thread that has ended keeps nothing.
      if (numbers.length) thread.ask("release", { numbers }).catch(() => {});
    },
    keptTensors: async () => (await thread.ask("count")) as number,
    end: async () => {
      await thread.end();
    },
  };
}
