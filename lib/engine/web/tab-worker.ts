/// <reference lib="webworker" />
/** The engine in a Web Worker of the visitor's own tab: the same engine as on the server, over the same files, run by onnxruntime-web. */
import { bytesOf, type EnginePackage, filesToFetch, type Provider } from "@/lib/core/engine-package";
import { FacetError } from "@/lib/core/errors";
import { resizeBilinear } from "@/lib/core/preprocess";
import type { ImageRef } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";
import { sha256 } from "@/lib/core/sha256";
import type { ResolvedImage } from "../engine";
import { engineManifestSchema } from "../onnx/manifest";
import { OnnxEngine } from "../onnx/onnx-engine";
import { type OrtWeb, webRuntime } from "../onnx/runtime-web";
import { RequestQueue } from "../queue";
import { pixelNote, refuseUnable, threadsHere, type Unkept, unkeptWords } from "./abilities";
import { decodeInTab } from "./decode-web";
import { dropOlder, loadFile, recordNeeded } from "./file-store";
import { loadFromBytes } from "./load-web";
import { tabError } from "./memory";
import { type StartedModel, startModel } from "./start-model";
import type { Answers, Ask, FromWorker, OwnPictures, TabState, ToWorker } from "./tab-wire";
import { offersWebGpu } from "./webgpu";

declare const self: DedicatedWorkerGlobalScope;

interface Running {
  pack: EnginePackage;
  engine: OnnxEngine;
  size: number;
  state: TabState;
}

let running: Running | null = null;
const controllers = new Map<number, AbortController>();
const tell = (message: FromWorker) => self.postMessage(message);

async function chooseProvider(asked: Provider | "auto", notes: string[]): Promise<Provider> {
  if (asked === "wasm") return "wasm";
  if (await offersWebGpu()) return "webgpu";
  if (asked === "webgpu") notes.push("This browser offers no WebGPU here, so the processor computes.");
  return "wasm";
}

/** The runtime's build for the provider. Only the one that is used is fetched. */
async function startRuntime(
  pack: EnginePackage,
  provider: Provider,
  wasm: Uint8Array,
  notes: string[],
): Promise<{ ort: OrtWeb; threads: number }> {
  const ort = provider === "webgpu" ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  const { threads, note } = threadsHere(globalThis, navigator.hardwareConcurrency);
  if (note) notes.push(note);
  const { module } = pack.runtime[provider];
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmBinary = wasm.buffer as ArrayBuffer;
  ort.env.wasm.wasmPaths = { mjs: new URL(routes.api.engineFile(module.sha256, module.path), self.location.origin).href };
  ort.env.logLevel = "error";
  return { ort, threads };
}

async function load(id: number, pack: EnginePackage, asked: Provider | "auto", signal: AbortSignal): Promise<Answers["load"]> {
  if (running && running.pack.sha256 === pack.sha256 && running.pack.manifest === pack.manifest) {
    return { info: await running.engine.info(), state: running.state };
  }
  refuseUnable(globalThis);
  const notes: string[] = [];
  const provider = await chooseProvider(asked, notes);
  const wanted = filesToFetch(pack, provider);
  const total = bytesOf(wanted);
  let loaded = 0;
  let lastTold = 0;
  const files = new Map<string, Uint8Array>();
  const unkept = new Set<Unkept>();
  let waiting = false;
  const say = () => tell({ id, progress: { loaded, total, starting: false, waiting } });
  // Both builds of the runtime: another time the other may run it.
  await recordNeeded(pack.dictionary, [...filesToFetch(pack, "wasm"), ...filesToFetch(pack, "webgpu")]);
  for (const file of wanted) {
    const onBytes = (bytes: number) => {
      loaded += bytes;
      if (performance.now() - lastTold < 100 && loaded < total) return;
      lastTold = performance.now();
      say();
    };
    const onWait = (waits: boolean) => {
      if (waits === waiting) return;
      waiting = waits;
      say();
    };
    files.set(file.path, await loadFile(file, { signal, onBytes, onWait, onUnkept: (_, why) => unkept.add(why) }));
  }
  // What cannot be tidied is no reason not to run.
  await dropOlder().catch(() => {});
  for (const why of unkept) notes.push(unkeptWords[why]);
  const unlike = pixelNote((side) => new OffscreenCanvas(side, side));
  if (unlike) notes.push(unlike);
  tell({ id, progress: { loaded: total, total, starting: true, waiting: false } });
  const manifest = engineManifestSchema.parse(JSON.parse(pack.manifest));
  const dictionary = manifest.dictionaries.find((one) => `${manifest.model.id}/${one.id}` === pack.dictionary);
  if (!dictionary)
    throw new FacetError("engine_unavailable", "The model's engine.json does not name the dictionary.", { fix: "Reload the page." });
  const wasm = files.get(pack.runtime[provider].wasm.path) as Uint8Array;
  const { ort, threads } = await startRuntime(pack, provider, wasm, notes);
  const state: TabState = { provider, threads, notes };
  const start = async (on: Provider): Promise<StartedModel> => {
    const runtime = webRuntime({ ort, files, provider: on });
    try {
      return { loaded: await loadFromBytes({ manifest, dictionary, files, tensors: pack.tensors }, runtime), end: runtime.end };
    } catch (error) {
      await runtime.end();
      throw error;
    }
  };
  const here = await startModel(provider, start, () => {
    state.provider = "wasm";
    notes.push("The browser lost its graphics device, so the processor computes.");
    tell({ state });
  });
  state.provider = here.provider;
  if (here.refused) notes.push("The graphics device does not run this model as the processor does, so the processor computes.");
  const engine = new OnnxEngine(manifest, dictionary, here.load, new RequestQueue(1, 4), new RequestQueue(1, 16));
  const info = await engine.info();
  running = { pack, engine, size: manifest.image.size, state };
  return { info, state };
}

async function resolve(image: ImageRef, own: OwnPictures, signal: AbortSignal): Promise<ResolvedImage> {
  let bytes: Uint8Array<ArrayBuffer>;
  if ("dataUrl" in image) bytes = new Uint8Array(await (await fetch(image.dataUrl)).arrayBuffer());
  else {
    const picture = own.get(image.sha256);
    if (picture) bytes = new Uint8Array(await picture.arrayBuffer());
    else {
      const answer = await fetch(routes.api.image(image.sha256), { signal });
      if (!answer.ok) throw new FacetError("image_not_found", `The catalogue has no picture ${image.sha256.slice(0, 12)}….`);
      bytes = new Uint8Array(await answer.arrayBuffer());
    }
  }
  return { ...(await decodeInTab(bytes)), sha256: await sha256(bytes) };
}

function engineOf(): Running {
  if (!running) throw new FacetError("engine_unavailable", "The model is not loaded in this tab.", { fix: "Load it first." });
  return running;
}

async function answer(id: number, ask: Ask, signal: AbortSignal): Promise<Answers[keyof Answers]> {
  switch (ask.action) {
    case "load":
      return await load(id, ask.pack, ask.provider, signal);
    case "features": {
      const resolveImage = (image: ImageRef) => resolve(image, ask.pictures, signal);
      return await engineOf().engine.features(ask.request, { signal, resolveImage });
    }
    case "words": {
      const resolveImage = (image: ImageRef) => resolve(image, ask.pictures, signal);
      return await engineOf().engine.promptFeatures(ask.request, { signal, resolveImage });
    }
    case "generate": {
      const resolveImage = (image: ImageRef) => resolve(image, ask.pictures, signal);
      const unitOf = (feature: number) => ask.units[feature] ?? 0;
      for await (const event of engineOf().engine.generate(ask.request, { signal, resolveImage, unitOf })) tell({ id, event });
      return null;
    }
    case "attribute": {
      const resolveImage = (image: ImageRef) => resolve(image, ask.pictures, signal);
      const unitOf = (feature: number) => ask.units[feature] ?? 0;
      for await (const event of engineOf().engine.attribute(ask.request, { signal, resolveImage, unitOf })) tell({ id, event });
      return null;
    }
    case "seen": {
      const { size } = engineOf();
      return { size, data: resizeBilinear(await decodeInTab(new Uint8Array(await ask.picture.arrayBuffer())), size, size).data };
    }
  }
}

self.addEventListener("message", async ({ data }: MessageEvent<ToWorker>) => {
  if (data.action === "cancel") return controllers.get(data.id)?.abort();
  const { id, ...ask } = data;
  const controller = new AbortController();
  controllers.set(id, controller);
  try {
    tell({ id, result: await answer(id, ask, controller.signal) });
  } catch (thrown) {
    const error = tabError(thrown);
    if (error !== thrown) console.error(thrown);
    tell({ id, error: { code: error.code, message: error.message, fix: error.fix } });
  } finally {
    controllers.delete(id);
  }
});
