"use client";
import { memo, type ReactNode } from "react";
import { Button } from "@/components/ui/button";
import { formatNoun } from "@/lib/core/format";
import type { ImageRef } from "@/lib/core/protocol";
import { limits } from "@/lib/core/protocol";
import { AddClamp } from "./add-clamp";
import { ClampCard } from "./clamp-card";
import { type ClampGroup, groupClamps } from "./clamp-groups";
import { describeScope } from "./clamp-words";
import { Fold } from "./fold";
import type { Grid } from "./region";
import { type Clamp, type Problem, type SteerAction, startingClamp } from "./state";

interface ClampsPanelProps {
  dictionary: string;
  numLatents: number;
  clamps: Clamp[];
  /** The request's pictures in their order; null for one that is not here. */
  images: readonly (ImageRef | null)[];
  grid: Grid | null;
  problems: Problem[];
  send: (action: SteerAction) => void;
  /** Runs a clamp at several strengths. */
  onDose: (id: number) => void;
}

/** The features held, in the order in which they were added; their order changes nothing about the answer. */
export const ClampsPanel = memo(function ClampsPanel({
  dictionary,
  numLatents,
  clamps,
  images,
  grid,
  problems,
  send,
  onDose,
}: ClampsPanelProps) {
  const anySolo = clamps.some((clamp) => clamp.solo);
  const full = clamps.length >= limits.clamps;
  const clamped = clamps.map((clamp) => clamp.feature);
  const problemOf = (clamp: Clamp) => problems.find(({ at }) => at.part === "clamp" && at.id === clamp.id);
  const card = (clamp: Clamp) => (
    <ClampCard
      key={clamp.id}
      dictionary={dictionary}
      numLatents={numLatents}
      clamp={clamp}
      position={clamps.indexOf(clamp)}
      count={clamps.length}
      clamped={clamped}
      images={images}
      grid={grid}
      silent={anySolo ? !clamp.solo : clamp.muted}
      problem={problemOf(clamp)}
      send={send}
      onDose={onDose}
    />
  );
  return (
    <div className="flex flex-col gap-3">
      {full ? (
        <p className="text-muted text-sm">A request holds at most {limits.clamps} clamps. Remove one to add another.</p>
      ) : (
        <AddClamp
          dictionary={dictionary}
          numLatents={numLatents}
          image={images.find((image) => image !== null) ?? null}
          clamped={clamped}
          onAdd={({ index, imageShare, maxActivation }) =>
            send({ type: "clamp-add", clamp: startingClamp(index, imageShare, maxActivation) })
          }
        />
      )}
      {clamps.length === 0 ? (
        <p className="rounded-lg bg-sunken px-4 py-6 text-center text-muted text-sm">
          No feature is clamped. Add one by what it stands for, such as “lemon”, and the model answers as if it saw more of it, or less.
        </p>
      ) : (
        <>
          <ol className="flex flex-col gap-3">
            {groupClamps(clamps).map((group) =>
              group.type === "one" ? (
                card(group.clamp)
              ) : (
                <Ablations key={`group-${group.clamps[0]?.id}`} group={group} bad={group.clamps.some(problemOf)} send={send}>
                  {group.clamps.map(card)}
                </Ablations>
              ),
            )}
          </ol>
          {clamps.length > 1 && (
            <Button variant="ghost" size="sm" className="self-start" onClick={() => send({ type: "clamps-clear" })}>
              Remove all {clamps.length}
            </Button>
          )}
        </>
      )}
    </div>
  );
});

interface AblationsProps {
  group: Extract<ClampGroup, { type: "ablations" }>;
  /** One of them cannot be run, so they are shown. */
  bad: boolean;
  send: (action: SteerAction) => void;
  children: ReactNode;
}

/** Several features ablated in one place, as a swap does: one line, and each card on demand. */
function Ablations({ group, bad, send, children }: AblationsProps) {
  const { clamps } = group;
  const scope = clamps[0]?.scope;
  return (
    <li className="rounded-lg bg-sunken px-3 py-1">
      <Fold title={`${formatNoun(clamps.length, "feature")} ablated`} summary={scope && describeScope(scope)} open={bad || undefined}>
        <ol className="-ml-6 flex flex-col gap-3">{children}</ol>
      </Fold>
      <Button
        variant="ghost"
        size="sm"
        className="mb-1 -ml-2"
        onClick={() => send({ type: "clamps-remove", ids: clamps.map(({ id }) => id) })}
      >
        Remove these {clamps.length}
      </Button>
    </li>
  );
}
