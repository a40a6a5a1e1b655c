"use client";
import { useQuery } from "@tanstack/react-query";
import { dictionariesQueryOptions } from "@/lib/api/dictionaries";
import type { Dictionary } from "@/lib/core/records";
import { isStatic } from "@/lib/core/routes";
import { Banner } from "./banner";

/** How often a worker that is away is asked for. */
const askAgainMs = 10_000;

/** The catalogue's dictionaries, `known` at first; asked for again and again while the engine of the one in use is away, since it may be back at any time. */
export function useDictionaries(known: Dictionary[], inUse: string): Dictionary[] {
  return useQuery({
    ...dictionariesQueryOptions(),
    initialData: known,
    refetchInterval: ({ state: { data } }) => (data?.find(({ ref }) => ref === inUse)?.engine === "unreachable" ? askAgainMs : false),
  }).data;
}

/** Why the request cannot be run, or perhaps not, and what to do about it. */
export function EngineNote({ dictionary, blocked }: { dictionary: Dictionary | undefined; blocked: string | null }) {
  if (blocked !== null) {
    return (
      <Banner>
        {blocked}, so this request can be set up and shared but not run.{" "}
        {isStatic
          ? "Choose a dictionary whose model is here."
          : "Point FACET_ENGINE_DIR at the exported model or FACET_WORKER_URL at a worker that serves it and restart, or choose a dictionary whose model is here."}
      </Banner>
    );
  }
  if (dictionary?.engine !== "unreachable") return null;
  return (
    <Banner>
      Engine not reachable: the worker that is to run {dictionary.model.name} does not answer now. Start it again, or correct
      FACET_WORKER_URL. This page notices by itself when it is back, and Run tries it at once.
    </Banner>
  );
}
