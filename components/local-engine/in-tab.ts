"use client";
/** The engine of this document, shared by all that use it: nothing of it is loaded until somebody asks. */
import { useSyncExternalStore } from "react";
import { bytesOf, type EnginePackage, filesToFetch, type Provider } from "@/lib/core/engine-package";
import { asFacetError, FacetError } from "@/lib/core/errors";
import type { TabEngine } from "@/lib/engine/web/tab-engine";
import type { LoadProgress, TabState } from "@/lib/engine/web/tab-wire";
import { offersWebGpu } from "@/lib/engine/web/webgpu";

export type InTab =
  | { status: "idle" }
  | ({ status: "loading" } & LoadProgress)
  | { status: "ready"; ref: string; tab: TabState }
  | { status: "failed"; error: FacetError };

const idle: InTab = { status: "idle" };
let now: InTab = idle;
let busy = false;
let engine: TabEngine | null = null;
let loading: { ref: string; done: Promise<TabEngine>; controller: AbortController } | null = null;
const listeners = new Set<() => void>();
/** Errors that left no model here, to be told from those of a picture or a prompt. */
const unloading = new WeakSet<FacetError>();

function set(next: InTab): void {
  now = next;
  for (const listener of listeners) listener();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
};

/** How far the engine in this tab is. */
export const useInTab = (): InTab =>
  useSyncExternalStore(
    subscribe,
    () => now,
    () => idle,
  );

/** Whether the engine in this tab is at work. */
export const useInTabBusy = (): boolean =>
  useSyncExternalStore(
    subscribe,
    () => busy,
    () => false,
  );

async function begin(pack: EnginePackage, controller: AbortController): Promise<TabEngine> {
  try {
    const { TabEngine } = await import("@/lib/engine/web/tab-engine");
    const onBusy = (works: boolean) => {
      busy = works;
      for (const listener of listeners) listener();
    };
    engine ??= new TabEngine((tab) => now.status === "ready" && set({ ...now, tab }), onBusy);
    const onProgress = (progress: LoadProgress) => {
      if (loading?.controller === controller) set({ status: "loading", ...progress });
    };
    const tab = await engine.load(pack, { signal: controller.signal, onProgress });
    if (loading?.controller !== controller) throw new FacetError("cancelled", "Another model is being loaded.");
    set({ status: "ready", ref: pack.dictionary, tab });
    return engine;
  } catch (thrown) {
    const error =
      thrown instanceof FacetError
        ? thrown
        : new FacetError("engine_unavailable", "The engine for this tab could not be fetched.", {
            fix: "Check the connection and try again.",
            cause: thrown,
          });
    // Another model may be on its way by now.
    if (loading?.controller === controller) set(error.code === "cancelled" ? idle : { status: "failed", error });
    unloading.add(error);
    throw error;
  } finally {
    if (loading?.controller === controller) loading = null;
  }
}

/** The loaded engine. Whoever asks while it is being loaded waits for the same. Throws what `TabEngine.load` throws. */
export async function loadInTab(pack: EnginePackage): Promise<TabEngine> {
  if (engine?.holds(pack)) return engine;
  if (loading?.ref === pack.dictionary) return loading.done;
  loading?.controller.abort();
  const controller = new AbortController();
  set({ status: "loading", loaded: 0, total: bytesOf(filesToFetch(pack, "wasm")), starting: false, waiting: false });
  const mine = { ref: pack.dictionary, controller, done: Promise.resolve().then(() => begin(pack, controller)) };
  loading = mine;
  return mine.done;
}

/** What this browser will compute with, as far as can be told before anything is loaded. */
export async function likelyProvider(): Promise<Provider> {
  return (await offersWebGpu()) ? "webgpu" : "wasm";
}

/** Stops a download; what has arrived is kept. */
export const stopLoading = (): void => loading?.controller.abort();

/** What the engine threw, as an error with a sentence; an engine that ended has to be loaded again. */
export function failedInTab(thrown: unknown): FacetError {
  const error = asFacetError(thrown);
  if (engine && engine.state === null && now.status === "ready") {
    unloading.add(error);
    set({ status: "failed", error });
  }
  return error;
}

/** Whether there was no model any more, or none yet: what was asked is answered once one is loaded. */
export const lackedModel = (error: FacetError): boolean => unloading.has(error);

/** Ends the engine and gives back what the browser has kept of any. */
export async function freeAll(): Promise<void> {
  loading?.controller.abort();
  engine?.end();
  const { evictAll } = await import("@/lib/engine/web/file-store");
  await evictAll();
  set(idle);
}
