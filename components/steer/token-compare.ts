/** What might have stood in a token's place, with its probability in each arm. */
import type { Arm } from "@/lib/core/protocol";
import type { ArmRun } from "./run-state";

export interface TokenColumn {
  arm: Arm;
  /** Whether the arm had written the same before; its probabilities follow other words where not. */
  samePrefix: boolean;
  /** What it wrote there; null where its answer had ended. */
  written: number | null;
}

export interface TokenRow {
  id: number;
  text: string;
  /** In the order of the columns: the probability, or the least that it is below where it is not among the arm's likeliest; null where the arm had ended. */
  shares: ({ share: number; below: boolean } | null)[];
}

export interface TokenComparison {
  columns: TokenColumn[];
  /** The arm's own alternatives, then what other arms wrote or would rather have written there. */
  rows: TokenRow[];
}

const longest = 9;

/** Compares place `i` of an arm's answer with the same place of the others. The arm itself is the first column. */
export function compareToken(own: ArmRun, others: readonly ArmRun[], i: number): TokenComparison {
  const arms = [own, ...others.filter(({ arm }) => arm !== own.arm)];
  const prefix = (arm: ArmRun) => arm.tokens.slice(0, i).map(({ id }) => id);
  const before = prefix(own).join();
  const columns = arms.map((arm): TokenColumn => {
    return { arm: arm.arm, samePrefix: prefix(arm).join() === before, written: arm.tokens[i]?.id ?? null };
  });
  const known = arms.map((arm) => {
    const token = arm.tokens[i];
    return token && new Map([...token.alternatives.map(({ id, logprob }) => [id, logprob] as const), [token.id, token.logprob]]);
  });
  const texts = new Map<number, string>();
  for (const arm of arms) {
    const token = arm.tokens[i];
    // The likeliest of each; of the others two are enough to see where they differ.
    for (const { id, text } of (token?.alternatives ?? []).slice(0, arm === own ? longest : 2)) if (!texts.has(id)) texts.set(id, text);
    if (token && !texts.has(token.id)) texts.set(token.id, token.text);
  }
  const rows = [...texts].slice(0, longest).map(([id, text]): TokenRow => {
    return {
      id,
      text: text.trim() || "(space)",
      shares: known.map((found) => {
        if (!found) return null;
        const logprob = found.get(id);
        return logprob === undefined
          ? { share: Math.exp(Math.min(...found.values())), below: true }
          : { share: Math.exp(logprob), below: false };
      }),
    };
  });
  return { columns, rows };
}
