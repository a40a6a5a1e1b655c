"use client";
import { useMemo } from "react";
import { decodeSteerLink } from "@/lib/core/steer-link";
import type { RunState } from "./run-state";
import { whyAddress } from "./why-address";
import type { WhyHref } from "./why-context";

const nowhere: WhyHref = () => null;

/** Where the tokens of a run's answers are explained: by the request that gave them, which need not be the one that stands on the page now. */
export function useWhy({ status, key, inTab }: Pick<RunState, "status" | "key" | "inTab">): WhyHref {
  return useMemo(() => {
    if (status !== "done") return nowhere;
    try {
      const asked = decodeSteerLink(key);
      return (arm, place) => whyAddress(asked, arm, place, inTab);
    } catch {
      return nowhere;
    }
  }, [status, key, inTab]);
}
