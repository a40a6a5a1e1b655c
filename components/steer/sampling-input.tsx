"use client";
import { Dices } from "lucide-react";
import { type ReactNode, useId } from "react";
import { IconButton } from "@/components/ui/icon-button";
import { Segmented } from "@/components/ui/segmented";
import { Slider } from "@/components/ui/slider";
import { Term } from "@/components/ui/term";
import { limits, type Sampling } from "@/lib/core/protocol";
import { Fold } from "./fold";
import { NumberField } from "./number-field";
import type { SteerAction } from "./state";

function Row({ name, explain, htmlFor, children }: { name: string; explain: string; htmlFor?: string; children: ReactNode }) {
  return (
    <div className="flex min-h-8 items-center justify-between gap-3">
      <span className="flex items-center text-sm">
        <Term explain={explain}>{name}</Term>
        {htmlFor && (
          <label htmlFor={htmlFor} className="sr-only">
            {name}
          </label>
        )}
      </span>
      {children}
    </div>
  );
}

/** How tokens are chosen: greedy unless told otherwise. */
export function SamplingInput({ sampling, send }: { sampling: Sampling; send: (action: SteerAction) => void }) {
  const id = useId();
  const { temperature, topP, seed, maxTokens } = sampling;
  const greedy = temperature === 0;
  const set = (patch: Partial<Sampling>) => send({ type: "sampling", patch });
  return (
    <Fold
      title="Sampling"
      summary={`${greedy ? "greedy" : `temperature ${temperature}, top-p ${topP}, seed ${seed}`} · up to ${maxTokens} tokens`}
    >
      <div className="flex flex-col gap-2">
        <Segmented
          label="How tokens are chosen"
          value={greedy ? "greedy" : "sample"}
          onChange={(next) => set({ temperature: next === "greedy" ? 0 : 0.7 })}
          options={[
            { value: "greedy", name: "Greedy" },
            { value: "sample", name: "Sampled" },
          ]}
        />
        {!greedy && (
          <>
            <Row name="Temperature" explain="How freely unlikely tokens are chosen; 0 always takes the likeliest.">
              <span className="num w-10 text-right text-sm">{temperature}</span>
            </Row>
            <Slider
              label="Temperature"
              value={Math.min(2, temperature)}
              onChange={(next) => set({ temperature: Math.max(0.05, next) })}
              min={0.05}
              max={2}
              step={0.05}
            />
            <Row name="Top-p" explain="Only the likeliest tokens that together hold this share of the probability are chosen from.">
              <span className="num w-10 text-right text-sm">{topP}</span>
            </Row>
            <Slider label="Top-p" value={topP} onChange={(next) => set({ topP: next })} min={0.05} max={1} step={0.05} />
            <Row name="Seed" explain="The same seed gives the same answer, in every arm." htmlFor={`${id}-seed`}>
              <span className="flex items-center gap-1">
                <NumberField
                  id={`${id}-seed`}
                  label="Seed"
                  whole
                  value={seed}
                  onChange={(next) => set({ seed: next })}
                  min={0}
                  max={0xffff_ffff}
                  className="w-28"
                />
                <IconButton label="Another seed" size="sm" onClick={() => set({ seed: Math.floor(Math.random() * 1_000_000) })}>
                  <Dices />
                </IconButton>
              </span>
            </Row>
          </>
        )}
        <Row name="Longest answer" explain="Tokens after which the answer is cut." htmlFor={`${id}-tokens`}>
          <NumberField
            id={`${id}-tokens`}
            label="Longest answer, in tokens"
            whole
            value={maxTokens}
            onChange={(next) => set({ maxTokens: next })}
            min={1}
            max={limits.maxTokens}
            className="w-20"
          />
        </Row>
      </div>
    </Fold>
  );
}
