"use client";
/** What `/try` shows, in its address behind the `#`, which no browser sends: all but pictures of one's own, which no address can hold. */
import { useCallback, useMemo } from "react";
import { type Measure, measures } from "@/components/compare/difference";
import { useFragment } from "@/components/region/use-fragment";
import type { HistoryStep } from "@/components/steer/use-address";
import { limits, sha256Schema } from "@/lib/core/protocol";
import { type Ranking, rankings } from "./ranking";

export const modes = ["look", "paint", "compare", "words"] as const;
export type Mode = (typeof modes)[number];

export interface TryState {
  mode: Mode;
  /** Pictures of the catalogue, by their hash. */
  picture: string | null;
  second: string | null;
  ranking: Ranking;
  measure: Measure;
  /** The prompt that was read. */
  words: string | null;
  /** A painted region's code. */
  region: string | null;
}

const keys = {
  mode: "mode",
  picture: "picture",
  second: "second",
  ranking: "rank",
  measure: "by",
  words: "words",
  region: "region",
} as const;
const usual: TryState = { mode: "look", picture: null, second: null, ranking: "rarity", measure: "mean", words: null, region: null };

const oneOf = <T extends string>(all: readonly T[], text: string | null, otherwise: T): T => all.find((one) => one === text) ?? otherwise;
const hashIn = (text: string | null) => (sha256Schema.safeParse(text).success ? text : null);

/** What an address says; what it says wrongly is as if it said nothing. */
export function readTry(fragment: string): TryState {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const region = given.get(keys.region);
  return {
    // A region alone is enough: addresses have been so since before they named what is done.
    mode: oneOf(modes, given.get(keys.mode), region === null ? usual.mode : "paint"),
    picture: hashIn(given.get(keys.picture)),
    second: hashIn(given.get(keys.second)),
    ranking: oneOf(rankings, given.get(keys.ranking), usual.ranking),
    measure: oneOf(measures, given.get(keys.measure), usual.measure),
    words: given.get(keys.words)?.slice(0, limits.textLength) || null,
    region: region || null,
  };
}

/** The values of a fragment's keys for a change; null takes a key away, as for what is usual. */
export function writeTry(change: Partial<TryState>): Record<string, string | null> {
  return Object.fromEntries(
    (Object.keys(change) as (keyof TryState)[]).map((key) => [keys[key], change[key] === usual[key] ? null : change[key] || null]),
  );
}

export function useTryAddress(): [TryState, (change: Partial<TryState>, step?: HistoryStep) => void] {
  const [fragment, set] = useFragment();
  const state = useMemo(() => readTry(fragment), [fragment]);
  const change = useCallback((next: Partial<TryState>, step?: HistoryStep) => set(writeTry(next), step), [set]);
  return [state, change];
}
