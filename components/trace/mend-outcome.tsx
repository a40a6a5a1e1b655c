"use client";
import { CircleCheck, CircleSlash } from "lucide-react";
import Link from "next/link";
import { useState } from "react";
import { describeScope, describeStrength } from "@/components/steer/clamp-words";
import { Fold } from "@/components/steer/fold";
import { Chip } from "@/components/ui/chip";
import { LinkButton } from "@/components/ui/link-button";
import { formatIndex, formatNoun, formatPercent, formatSeconds } from "@/lib/core/format";
import { type Mending, plainAnswer } from "@/lib/core/mend";
import type { Intervention } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";
import { AskAgain } from "./ask-again";
import { useAsking } from "./asking";
import type { PanelOutcome } from "./steer-answers";
import { clampsKey, type MendState, phaseWords, progressWords } from "./use-mend";

/** How far the search is, and what it found, with what that costs. */
export function MendOutcome({ state }: { state: MendState }) {
  const { status, task, progress, result, error } = state;
  const { right, panelSize, labels } = task;
  const [picked, setPicked] = useState(0);
  const chosen = result?.found[Math.min(picked, (result?.found.length ?? 1) - 1)];
  const running = status === "running";
  return (
    <div className="flex flex-col gap-4">
      {running && (
        <div className="num text-sm">
          <p>{progressWords(state)}</p>
          <progress
            className="mt-2 h-1.5 w-full max-w-md appearance-none overflow-hidden rounded bg-sunken [&::-moz-progress-bar]:bg-accent [&::-webkit-progress-bar]:bg-sunken [&::-webkit-progress-value]:bg-accent"
            aria-label="How far the search is"
            value={progress ? (progress.phase === "panel" ? state.asked : progress.done) : 0}
            max={progress ? (progress.phase === "panel" ? Math.max(1, panelSize) : progress.total) : 1}
          />
        </div>
      )}
      <div role="status" className="num text-sm empty:hidden">
        {running && <p className="sr-only">{phaseWords(state)}</p>}
        {status === "stopped" && <p className="text-muted">Stopped. Nothing was kept of the search.</p>}
        {status === "done" && result && result.found.length === 0 && (
          <p className="flex items-start gap-2">
            <CircleSlash className="mt-0.5 size-5 shrink-0 text-warn" aria-hidden />
            <span>
              No set of up to {formatNoun(result.size, "clamp")} brings “{right}”, of {result.answers} tried in{" "}
              {formatSeconds(state.took / 1000)}.{result.nearest && ` The nearest answered “${result.nearest.answer.text.trim()}”.`} Try
              another wording, or rank other features.
            </span>
          </p>
        )}
        {status === "done" && result && chosen && (
          <p className="flex items-start gap-2 text-base">
            <CircleCheck className="mt-0.5 size-5 shrink-0 text-good" aria-hidden />
            <span>
              <strong className="font-semibold">{formatNoun(chosen.clamps.length, "clamp")}</strong>{" "}
              {chosen.clamps.length === 1 ? "is" : "are"} enough: the model answers “{chosen.answer.text.trim()}”.{" "}
              <CostWords mending={chosen} panelSize={panelSize} />{" "}
              <span className="text-muted text-sm">
                Found among {result.answers} answers in {formatSeconds(state.took / 1000)}.
              </span>
            </span>
          </p>
        )}
      </div>
      {error && (
        <p role="alert" className="text-bad text-sm">
          {error.message} {error.fix}
        </p>
      )}
      {status === "done" && chosen && result && (
        <>
          {result.found.length > 1 && (
            <fieldset className="flex flex-wrap gap-1.5">
              <legend className="mb-1 text-muted text-sm">Sets of this size that answer right</legend>
              {result.found.slice(0, 6).map((mending, i) => (
                <Chip
                  key={clampsKey(mending.clamps)}
                  pressed={mending === chosen}
                  onClick={() => setPicked(i)}
                  count={mending.harm === null ? undefined : `${formatPercent(mending.harm)} changed`}
                >
                  {mending.clamps.map((clamp) => nameOfClamp(clamp, labels)).join(" + ")}
                </Chip>
              ))}
            </fieldset>
          )}
          <Chosen key={clampsKey(chosen.clamps)} mending={chosen} labels={labels} outcomes={state.panel[clampsKey(chosen.clamps)] ?? []} />
        </>
      )}
    </div>
  );
}

type Labels = MendState["task"]["labels"];

const nameOfClamp = (clamp: Intervention, labels: Labels) =>
  `${labels.get(clamp.feature) ?? formatIndex(clamp.feature)} ${describeStrength(clamp)}`;

function CostWords({ mending, panelSize }: { mending: Mending; panelSize: number }) {
  if (mending.harm === null || panelSize === 0) return "What else it changes was not counted.";
  const changed = Math.round(mending.harm * panelSize);
  if (changed === 0) return `None of ${panelSize} other answers changes.`;
  return `${changed} of ${panelSize} other answers change${changed === 1 ? "s" : ""} (${formatPercent(mending.harm)}).`;
}

interface ChosenProps {
  mending: Mending;
  labels: Labels;
  outcomes: readonly PanelOutcome[];
}

function Chosen({ mending, labels, outcomes }: ChosenProps) {
  const { dictionary, steerHref } = useAsking();
  const changed = outcomes.filter(({ before, after }) => plainAnswer(before) !== plainAnswer(after));
  const { clamps } = mending;
  return (
    <>
      <ul aria-label="Clamps that mend it" className="flex flex-col gap-1 text-sm">
        {clamps.map((clamp) => (
          <li key={clamp.feature}>
            <Link href={routes.feature(dictionary, clamp.feature)} className="rounded-sm text-accent underline-offset-4 hover:underline">
              <span dir="auto">{labels.get(clamp.feature) ?? "unexplained feature"}</span>{" "}
              <span className="font-mono text-xs">{formatIndex(clamp.feature)}</span>
            </Link>{" "}
            {describeStrength(clamp)}, {describeScope(clamp.scope)}
          </li>
        ))}
      </ul>
      {changed.length > 0 && (
        <Fold title="What else changes" summary={formatNoun(changed.length, "answer")} open>
          <ul className="flex flex-col gap-2 text-sm">
            {changed.map(({ question, before, after }) => (
              <li key={`${question.image}${question.text}`} className="flex items-start gap-3">
                {question.image && (
                  // biome-ignore lint/performance/noImgElement: content-addressed and already small
                  <img src={routes.api.image(question.image)} alt="" className="size-10 shrink-0 rounded bg-sunken object-contain" />
                )}
                <span className="min-w-0">
                  <span dir="auto" className="block text-muted">
                    {question.text}
                  </span>
                  <span dir="auto">“{before.trim()}”</span> → <span dir="auto">“{after.trim()}”</span>
                </span>
              </li>
            ))}
          </ul>
        </Fold>
      )}
      <div className="flex flex-wrap gap-2">
        <LinkButton size="sm" href={steerHref(clamps)}>
          Open in the sandbox
        </LinkButton>
      </div>
      <AskAgain name={clampsKey(clamps)} clamps={clamps} action="Ask with these clamps" auto />
    </>
  );
}
