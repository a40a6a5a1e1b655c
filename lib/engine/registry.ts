/**
 * Which engine runs a dictionary: a worker that FACET_WORKER_URL names, where one serves it, else this process with the model whose files lie in the
 * engine's folder.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { FacetError } from "@/lib/core/errors";
import { env } from "@/lib/env";
import type { Worker, WorkerState } from "@/lib/workers/worker";
import { workers } from "@/lib/workers/workers";
import type { Engine } from "./engine";
import { loadEngine, loadSharedModel, manifestFile, parseManifest, type SharedModel } from "./onnx/load";
import type { EngineManifest } from "./onnx/manifest";
import { OnnxEngine } from "./onnx/onnx-engine";
import { RequestQueue } from "./queue";
import { RemoteEngine } from "./remote/remote-engine";

/** Requests that run at once, and that may wait: a small machine's cores are kept busy by one. */
export interface EngineLimits {
  concurrency: number;
  bound: number;
}

const defaultLimits: EngineLimits = { concurrency: 1, bound: 16 };

/** Engines over one folder, by dictionary (`<model>/<dictionary>`). Nothing is loaded until an engine is used. */
export function createEngines(folder: string, manifest: EngineManifest, limits: EngineLimits = defaultLimits): Map<string, OnnxEngine> {
  const queue = new RequestQueue(limits.concurrency, limits.bound);
  const analysisQueue = new RequestQueue(1, limits.bound);
  let shared: Promise<SharedModel> | null = null;
  const loadShared = async () => {
    if (shared && !(await shared).runtime.alive) shared = null;
    shared ??= loadSharedModel(folder, manifest).catch((error: unknown) => {
      shared = null;
      throw error;
    });
    return shared;
  };
  const engines = manifest.dictionaries.map((dictionary) => {
    const load = async () => loadEngine(folder, manifest, dictionary, await loadShared());
    return new OnnxEngine(manifest, dictionary, load, queue, analysisQueue);
  });
  return new Map(engines.map((engine) => [engine.ref, engine]));
}

/** The text of engine.json; null where the folder holds no exported model. */
export async function readManifest(folder: string): Promise<string | null> {
  try {
    return await readFile(path.join(/* turbopackIgnore: true */ folder, manifestFile), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new FacetError("engine_unavailable", "The model's engine.json cannot be read.", { cause: error });
  }
}

interface Registry {
  folder: string;
  manifest: string;
  engines: Map<string, OnnxEngine>;
}

// Development reloads and route bundles must not each load the model again.
const holder = globalThis as typeof globalThis & { facetEngines?: Registry };

async function ownEngines(): Promise<Map<string, Engine>> {
  if (env.engineInTabOnly) return new Map();
  const folder = env.engineDir;
  const manifest = await readManifest(folder);
  if (manifest === null) return new Map();
  const known = holder.facetEngines;
  if (known?.folder === folder && known.manifest === manifest) return known.engines;
  // A model that was exported again since replaces the loaded one.
  const created = createEngines(folder, parseManifest(manifest));
  holder.facetEngines = { folder, manifest, engines: created };
  return created;
}

const refsOf = ({ info }: WorkerState) => info?.dictionaries.map(({ dictionary }) => dictionary.ref) ?? [];

/** Engines of workers by dictionary: of those that answer, the first that serves it; and of those that did before they were gone. */
async function remoteEngines(
  all: Worker[],
): Promise<{ here: Map<string, Engine>; gone: Map<string, Engine>; unheard: Worker | undefined }> {
  const states = await Promise.all(all.map(async (worker) => ({ worker, state: await worker.state() })));
  const enginesOf = (some: typeof states) => {
    // The first of several comes last, and stays.
    const pairs = some.flatMap(({ worker, state }) => refsOf(state).map((ref) => [ref, new RemoteEngine(worker, ref)] as const));
    return new Map<string, Engine>(pairs.reverse());
  };
  return {
    here: enginesOf(states.filter(({ state }) => !state.failure)),
    gone: enginesOf(states.filter(({ state }) => state.failure)),
    unheard: states.find(({ state }) => state.info === null)?.worker,
  };
}

/**
 * The engine for a dictionary, not yet loaded; null where this server has none. A worker that answers comes before the model in this process, which
 * serves what it holds while the worker is away; what nobody else holds stays the absent worker's, whose engine says that it cannot be reached. Throws
 * `engine_unavailable` when engine.json is damaged.
 */
export async function engineFor(ref: string, all: Worker[] = workers()): Promise<Engine | null> {
  const { here, gone, unheard } = await remoteEngines(all);
  const engine = here.get(ref) ?? (await ownEngines()).get(ref) ?? gone.get(ref);
  if (engine) return engine;
  // Whatever nobody else serves may be what a worker has that was never heard of.
  return unheard ? new RemoteEngine(unheard, ref) : null;
}
