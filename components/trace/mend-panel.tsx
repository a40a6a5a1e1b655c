"use client";
import { Square, Wrench } from "lucide-react";
import { type FormEvent, useId, useMemo } from "react";
import { Fold } from "@/components/steer/fold";
import { Button } from "@/components/ui/button";
import { Chip } from "@/components/ui/chip";
import { Input, Textarea } from "@/components/ui/input";
import { saysRight, scopeOf } from "@/lib/core/mend";
import { type PanelQuestion, panelOf } from "@/lib/core/mend-panel";
import { splitRef } from "@/lib/core/routes";
import { longestAsks, longestRight } from "@/lib/core/trace-link";
import { useAsking } from "./asking";
import type { RankedRow } from "./contributions";
import { MendOutcome } from "./mend-outcome";
import type { Mend } from "./use-mend";

interface MendPanelProps {
  mend: Mend;
  /** The right answer and further questions, as they were typed. */
  right: string;
  asks: string;
  onType: (patch: { right?: string; asks?: string }) => void;
  /** The model's whole answer. */
  answer: string;
  /** Answers that it nearly gave: its likeliest other tokens, after what it had said before them. */
  nearly: string[];
  rows: readonly RankedRow[];
}

/** How many of the top contributors are tried. */
const tried = 12;
const ownLimit = 20;

/** Given the right answer, looks for the smallest set of clamps that brings it, and shows what else they change. */
export function MendPanel({ mend, right, asks, onType, answer, nearly, rows }: MendPanelProps) {
  const { dictionary, version, request } = useAsking();
  const id = useId();
  const { state, start, stop } = mend;
  const fixed = useMemo(() => panelOf(splitRef(dictionary).model), [dictionary]);
  const questions = useMemo<PanelQuestion[]>(() => {
    const lines = asks.split("\n").flatMap((line) => (line.trim() ? [{ image: null, text: line.trim() }] : []));
    return [...fixed, ...lines.slice(0, ownLimit)];
  }, [fixed, asks]);
  const running = state.status === "running";
  const already = right.trim() !== "" && saysRight(answer, right);
  const candidates = rows.slice(0, tried);
  const ready = right.trim() !== "" && !already && candidates.length > 0;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (running) return stop();
    if (!ready) return;
    void start({
      dictionary,
      version,
      wrong: answer,
      right: right.trim(),
      candidates: candidates.map(({ feature, value, image, text }) => ({ feature, contribution: value, scope: scopeOf(image, text) })),
      labels: new Map(candidates.flatMap(({ feature, label }) => (label === null ? [] : [[feature, label] as const]))),
      questions,
      request,
    });
  };
  return (
    <section aria-labelledby={`${id}-title`} className="flex max-w-3xl flex-col gap-4">
      <div>
        <h3 id={`${id}-title`} className="font-medium">
          Mend it
        </h3>
        <p className="text-muted text-sm">
          Say what is right. The smallest set of clamps that brings that answer is looked for among the first {candidates.length} features
          of the list, and its cost is counted on other questions.
        </p>
      </div>
      <form onSubmit={submit} className="flex flex-col gap-3">
        <div className="flex flex-wrap items-end gap-2">
          <div className="min-w-48 grow">
            <label htmlFor={`${id}-right`} className="mb-1 block font-medium text-sm">
              The right answer
            </label>
            <Input
              id={`${id}-right`}
              value={right}
              maxLength={longestRight}
              dir="auto"
              placeholder={nearly[0] ?? "no"}
              aria-describedby={`${id}-note`}
              onChange={(event) => onType({ right: event.target.value })}
            />
          </div>
          <Button type="submit" variant={running ? "secondary" : "primary"} aria-disabled={(!ready && !running) || undefined}>
            {running ? <Square aria-hidden /> : <Wrench aria-hidden />}
            {running ? "Stop" : "Mend it"}
          </Button>
        </div>
        <p id={`${id}-note`} className="text-muted text-sm empty:hidden">
          {already ? "That is what the model says already." : "An answer counts as right if it begins with these words."}
        </p>
        {nearly.length > 0 && (
          <fieldset className="flex flex-wrap items-center gap-1.5">
            <legend className="sr-only">Answers that the model nearly gave</legend>
            <span className="text-muted text-sm" aria-hidden>
              It nearly said
            </span>
            {nearly.map((text) => (
              <Chip key={text} pressed={right === text} onClick={() => onType({ right: text })} dir="auto">
                {text}
              </Chip>
            ))}
          </fieldset>
        )}
        <Fold
          title="Other questions"
          summary={questions.length ? `${questions.length} show what else changes` : "none: what the clamps cost is not counted"}
        >
          {fixed.length > 0 && (
            <p className="text-muted text-sm">
              {fixed.length} questions about other pictures of the catalogue, always the same, of every kind that this model was taught.
            </p>
          )}
          <label htmlFor={`${id}-own`} className="mt-2 mb-1 block text-sm">
            Your own, about this picture, one a line (at most {ownLimit})
          </label>
          <Textarea
            id={`${id}-own`}
            rows={3}
            value={asks}
            maxLength={longestAsks}
            dir="auto"
            onChange={(event) => onType({ asks: event.target.value })}
          />
        </Fold>
      </form>
      <MendOutcome state={state} />
    </section>
  );
}
