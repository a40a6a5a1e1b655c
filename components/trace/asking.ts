"use client";
import { createContext, use } from "react";
import type { Where } from "@/components/local-engine/use-where";
import type { GenerateRequest, Intervention } from "@/lib/core/protocol";

/** How parts of the page ask the model again, under other clamps, and where that leads. */
export interface Asking {
  /** `<model>/<dictionary>`. */
  dictionary: string;
  /** First 12 digits of the dictionary's hash, where the request names one. */
  version: string | undefined;
  /** Names the request's runs. */
  key: string;
  /** What clamps are put beside: the model alone, or the dictionary's output in the place of its states. */
  compare: "baseline" | "reconstruction";
  /** The page's request with other parts put in; throws where an uploaded picture is not here. */
  request: (over?: Partial<GenerateRequest>) => GenerateRequest;
  /** The sandbox's address with these clamps beside the request's own. */
  steerHref: (clamps: Intervention[]) => string;
  /** Uploaded pictures of the request as data URLs, to save with it. */
  uploads: () => string[];
  /** Leaves a control for the answer of the same request under its clamps. */
  traceSteered: () => void;
  savingOff: boolean;
  /** On the server or in this tab; what the tab runs is not saved. */
  where: { readonly current: Where };
}

export const AskingContext = createContext<Asking | null>(null);

export function useAsking(): Asking {
  const asking = use(AskingContext);
  if (!asking) throw new Error("Nothing above says how the model is asked.");
  return asking;
}
