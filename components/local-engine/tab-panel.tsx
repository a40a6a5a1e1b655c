"use client";
import { useQuery } from "@tanstack/react-query";
import { HardDrive, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Button } from "@/components/ui/button";
import { ProgressBar } from "@/components/ui/progress-bar";
import { bytesOf, type EnginePackage, filesToFetch } from "@/lib/core/engine-package";
import { isStatic } from "@/lib/core/routes";
import { memoryWarning } from "@/lib/engine/web/memory";
import { freeAll, likelyProvider, loadInTab, stopLoading, useInTab, useInTabBusy } from "./in-tab";
import { useBackground } from "./use-background";

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** What lies in the browser: of this model, and in all. Asked again when something has changed. */
function useStored(pack: EnginePackage, changed: unknown) {
  return useQuery({
    queryKey: ["engine-stored", pack.sha256, changed],
    queryFn: async () => {
      const { keptBytes, storedBytes } = await import("@/lib/engine/web/file-store");
      const files = filesToFetch(pack, await likelyProvider());
      const [kept, stored] = await Promise.all([keptBytes(files), storedBytes()]);
      return { left: bytesOf(files) - kept, stored };
    },
    gcTime: 0,
  }).data;
}

/** In GB, where the browser tells it. */
const deviceMemory = () => (globalThis.navigator as (Navigator & { deviceMemory?: number }) | undefined)?.deviceMemory;

interface TabPanelProps {
  pack: EnginePackage;
  /** What this tab will do with the model, as the beginning of a sentence. */
  children: ReactNode;
  /** What more there is to say of it, folded away. */
  more?: { title: string; text: string };
}

/** The model in this tab: what will be fetched, how far it is, how it runs, and what it keeps. */
export function TabPanel({ pack, children, more }: TabPanelProps) {
  const state = useInTab();
  const [freed, setFreed] = useState(0);
  const busy = useInTabBusy();
  const loading = state.status === "loading";
  const { hidden, shown, slowed } = useBackground(loading || busy);
  // Another tab may have given the store back meanwhile.
  const stored = useStored(pack, `${state.status} ${freed} ${shown}`);
  const left = stored?.left ?? null;
  const warning = memoryWarning(bytesOf(filesToFetch(pack, "wasm")), deviceMemory());
  return (
    <section aria-label="The model in this tab" className="rounded-md bg-sunken px-3 py-2 text-sm">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <HardDrive className="size-4 shrink-0 text-muted" aria-hidden />
        <p className="min-w-0 grow basis-64" aria-live="polite">
          {children}{" "}
          {state.status === "idle" &&
            left !== null &&
            (left > 0 ? (
              <>
                <span className="num">{megabytes(left)}</span> will be fetched from {isStatic ? "this site" : "this server"} first, once.
              </>
            ) : (
              "All of it is in this browser already."
            ))}
          {state.status === "loading" &&
            (state.starting
              ? "Starting the model…"
              : state.waiting
                ? "Another tab of this browser is fetching the model; this one waits for it and takes what it has kept."
                : "Fetching the model…")}
          {state.status === "ready" &&
            `Runs here, on ${state.tab.provider === "webgpu" ? "the graphics device (WebGPU)" : state.tab.threads === 1 ? "one thread" : `${state.tab.threads} threads`}.`}
        </p>
        {(state.status === "idle" || state.status === "failed") && (
          <Button size="sm" onClick={() => void loadInTab(pack).catch(() => {})}>
            {state.status === "failed" ? "Try again" : "Load the model"}
          </Button>
        )}
        {state.status === "loading" && !state.starting && (
          <Button size="sm" variant="ghost" onClick={stopLoading}>
            <X aria-hidden />
            Stop
          </Button>
        )}
        {stored && stored.stored > 0 && state.status !== "loading" && (
          <Button
            size="sm"
            variant="ghost"
            onClick={() => {
              void freeAll().then(() => setFreed((count) => count + 1));
            }}
          >
            Free <span className="num">{megabytes(stored.stored)}</span>
          </Button>
        )}
      </div>
      {more && (
        <details className="mt-1 text-muted">
          <summary className="w-fit cursor-pointer rounded-sm">{more.title}</summary>
          <p className="pt-1">{more.text}</p>
        </details>
      )}
      {state.status === "loading" && (
        <div className="mt-2 flex items-center gap-3">
          <ProgressBar label="Fetched" value={state.starting ? undefined : state.loaded} max={state.total} className="grow" />
          <span className="num text-muted">
            {megabytes(state.loaded)} of {megabytes(state.total)}
          </span>
        </div>
      )}
      {state.status === "failed" && (
        <p role="alert" className="mt-2">
          {state.error.message} {state.error.fix}
        </p>
      )}
      {state.status === "ready" &&
        state.tab.notes.map((note) => (
          <p key={note} className="mt-1 text-muted">
            {note}
          </p>
        ))}
      {warning && state.status !== "ready" && <p className="mt-1 text-muted">{warning}</p>}
      {(hidden || slowed) && (loading || busy) && (
        <p className="mt-1 text-muted">
          In the background the browser may slow this down: keep this tab in front until {loading ? "the model is here" : "the answer is"}.
        </p>
      )}
    </section>
  );
}
