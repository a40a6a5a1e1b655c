"use client";
import { memo } from "react";
import { Button } from "@/components/ui/button";
import type { ImageRef } from "@/lib/core/protocol";
import { limits } from "@/lib/core/protocol";
import { AddClamp } from "./add-clamp";
import { ClampCard } from "./clamp-card";
import type { Grid } from "./region";
import { type Clamp, type Problem, type SteerAction, startingClamp } from "./state";

interface ClampsPanelProps {
  dictionary: string;
  numLatents: number;
  clamps: Clamp[];
  image: ImageRef | null;
  grid: Grid | null;
  problems: Problem[];
  send: (action: SteerAction) => void;
}

/** The features held, in the order in which they were added; their order changes nothing about the answer. */
export const ClampsPanel = memo(function ClampsPanel({ dictionary, numLatents, clamps, image, grid, problems, send }: ClampsPanelProps) {
  const anySolo = clamps.some((clamp) => clamp.solo);
  const full = clamps.length >= limits.clamps;
  return (
    <div className="flex flex-col gap-3">
      {full ? (
        <p className="text-muted text-sm">A request holds at most {limits.clamps} clamps. Remove one to add another.</p>
      ) : (
        <AddClamp
          dictionary={dictionary}
          numLatents={numLatents}
          image={image}
          clamped={clamps.map((clamp) => clamp.feature)}
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
            {clamps.map((clamp, i) => (
              <ClampCard
                key={clamp.id}
                dictionary={dictionary}
                numLatents={numLatents}
                clamp={clamp}
                position={i}
                count={clamps.length}
                image={image}
                grid={grid}
                silent={anySolo ? !clamp.solo : clamp.muted}
                problem={problems.find(({ at }) => at.part === "clamp" && at.id === clamp.id)}
                send={send}
              />
            ))}
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
