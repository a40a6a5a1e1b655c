"use client";
import { Badge } from "@/components/ui/badge";
import { Skeleton } from "@/components/ui/skeleton";
import { Term } from "@/components/ui/term";
import { armWords } from "./arm-words";
import { ReceiptView } from "./receipt-view";
import type { ArmRun } from "./run-state";
import { TokenLine } from "./token-line";

interface AnswerProps {
  run: ArmRun;
  /** All arms of the run that a token is compared over. */
  arms: readonly ArmRun[];
  /** `<model>/<dictionary>`, to name features; the receipt's where left out. */
  dictionary?: string;
  /** What the arm is called, where its own name says too little. */
  title?: string;
  /** Tokens are still coming. */
  running: boolean;
  /** For each token whether the arm that it is compared with lacks it. */
  differs: boolean[] | null;
  /** That arm's name. */
  other: string;
  size: "large" | "normal" | "small";
}

const textSize = {
  large: "text-xl leading-snug @3xl:text-2xl",
  normal: "text-base leading-snug @3xl:text-lg",
  small: "text-base leading-snug",
} as const;

/** One arm: its name and what became of it, its words, its receipt. */
export function Answer({ run, arms, dictionary, title, running, differs, other, size }: AnswerProps) {
  const { arm, tokens, receipt } = run;
  const { explain, name: usualName } = armWords(arm);
  const armName = title ?? usualName;
  const unclamped = receipt !== null && receipt.outcome === "unchanged" && receipt.clamps.length === 0;
  const unchanged = receipt?.outcome === "unchanged" && !unclamped;
  // Whatever was asked for: where nothing was changed, nothing was steered.
  const name = unchanged && arm === "steered" ? "Not steered" : armName;
  return (
    <section aria-label={`${name} answer`} className="min-w-0">
      <h3 className="mb-1 flex min-h-6 items-center gap-2 text-sm">
        <span className="font-medium">
          <Term explain={explain}>{name}</Term>
        </span>
        {unchanged && <Badge tone="warn">unchanged</Badge>}
        {unclamped && <Badge>no clamp</Badge>}
        {receipt?.finish === "length" && <Badge>cut</Badge>}
        {!running && !receipt && tokens.length > 0 && <Badge tone="warn">incomplete, no receipt</Badge>}
      </h3>
      {tokens.length || !running ? (
        <TokenLine
          label={`Tokens of the ${name.toLowerCase()} answer; arrow keys move`}
          run={run}
          arms={arms}
          dictionary={dictionary ?? (receipt ? `${receipt.model.id}/${receipt.dictionary.id}` : null)}
          differs={differs}
          other={other}
          running={running}
          className={textSize[size]}
        />
      ) : (
        <Skeleton className={size === "large" ? "h-8" : "h-6"} />
      )}
      {!running && receipt && tokens.length === 0 && <p className="text-muted italic">The model answered with nothing.</p>}
      {receipt && (
        <div className="mt-2">
          <ReceiptView receipt={receipt} />
        </div>
      )}
    </section>
  );
}
