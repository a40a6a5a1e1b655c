"use client";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { enginePackageQueryOptions } from "@/lib/api/engine";
import type { EnginePackage } from "@/lib/core/engine-package";
import type { Dictionary } from "@/lib/core/records";
import { isStatic } from "@/lib/core/routes";

export type Where = "server" | "tab";

const key = "facet.steer-where";

function chosen(): Where | null {
  try {
    return sessionStorage.getItem(key) === "tab" ? "tab" : null;
  } catch {
    return null;
  }
}

export interface WhereChoice {
  where: Where;
  /** What this tab would run; null where it cannot, or that is not known yet. */
  pack: EnginePackage | null;
  /** Whether `where` stands: the tab's store was read, and what the tab can run is known where it is needed. */
  known: boolean;
  /** Whether there is a choice: else the only place is taken. */
  both: boolean;
  choose(where: Where): void;
}

/** Where requests on a dictionary run: on the server, unless it offers no engine or the visitor wants this tab. */
export function useWhere(dictionary: Dictionary | undefined): WhereChoice {
  const { data: pack = null, isPending } = useQuery({
    ...enginePackageQueryOptions(dictionary?.ref ?? ""),
    enabled: dictionary !== undefined,
  });
  const [wanted, setWanted] = useState<Where | null>(null);
  const [read, setRead] = useState(false);
  // The tab's store is unknown to the server that drew the first picture.
  useEffect(() => {
    setWanted(chosen());
    setRead(true);
  }, []);
  const fits = pack !== null && pack.sha256 === dictionary?.sha256;
  const server = !isStatic && dictionary !== undefined && dictionary.engine !== "none";
  return {
    where: fits && (wanted === "tab" || !server) ? "tab" : "server",
    pack: fits ? pack : null,
    known: read && dictionary !== undefined && (!isPending || (wanted !== "tab" && server)),
    both: fits && server,
    choose: (where) => {
      setWanted(where);
      try {
        sessionStorage.setItem(key, where);
      } catch {
        // It holds for this page.
      }
    },
  };
}
