"use client";
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Tooltip } from "@/components/ui/tooltip";
import { asFacetError } from "@/lib/core/errors";
import { formatNoun } from "@/lib/core/format";
import type { ImageRef } from "@/lib/core/protocol";
import { presets } from "./clamp-words";
import { pictureFeatures } from "./on-picture";
import type { Clamp, SteerAction } from "./state";
import { canSwap, planSwap } from "./swap";

interface ClampPresetsProps {
  clamp: Clamp;
  /** The feature's name, read aloud. */
  spoken: string;
  dictionary: string;
  images: readonly (ImageRef | null)[];
  /** Which features are clamped. */
  clamped: readonly number[];
  send: (action: SteerAction) => void;
  /** Runs the clamp at several strengths. */
  onDose: (id: number) => void;
}

/** What is most often wanted of a clamp, a press each. */
export function ClampPresets({ clamp, spoken, dictionary, images, clamped, send, onDose }: ClampPresetsProps) {
  const client = useQueryClient();
  /** What became of the last swap. */
  const [note, setNote] = useState<{ text: string; bad: boolean } | null>(null);
  const [busy, setBusy] = useState(false);

  const swap = async () => {
    if (!canSwap(clamp.scope) || images.length === 0) {
      setNote({ text: "A swap needs a picture to take things away from: add one and choose Image, Cells or Everywhere.", bad: true });
      return;
    }
    setBusy(true);
    try {
      const analyses = await Promise.all(
        images.map((image) => (image ? client.fetchQuery(pictureFeatures(dictionary, image)) : Promise.resolve(null))),
      );
      const { ablate, active } = planSwap(analyses, clamp.scope, clamped);
      send({ type: "swap", id: clamp.id, ablate });
      const some = ablate.length < active ? `the ${ablate.length} strongest of ${active} features` : formatNoun(active, "feature");
      setNote({ text: active === 0 ? "Nothing else is active there, so nothing is ablated." : `Ablated there: ${some}.`, bad: false });
    } catch (cause) {
      const { message, fix } = asFacetError(cause);
      setNote({ text: `${message} ${fix}`, bad: true });
    } finally {
      setBusy(false);
    }
  };

  return (
    <div>
      <div className="flex flex-wrap gap-x-3 gap-y-1">
        {presets.map((preset) => (
          <Preset
            key={preset.name}
            name={preset.name}
            explain={preset.explain}
            spoken={spoken}
            onPress={() => {
              setNote(null);
              send({ type: "clamp-change", id: clamp.id, patch: preset.patch(clamp) });
            }}
          />
        ))}
        <Preset
          name={busy ? "Looking…" : "Swap"}
          explain="Ablate what is active where this is clamped, and set this instead"
          spoken={spoken}
          onPress={() => void swap()}
        />
        {clamp.op !== "ablate" && (
          <Preset
            name="Dose curve"
            explain="Run it at seven strengths and draw what changes: where it works, and where the answer breaks"
            spoken={spoken}
            onPress={() => onDose(clamp.id)}
          />
        )}
      </div>
      <p role="status" className={note?.bad ? "text-bad text-sm" : "text-muted text-sm"}>
        {note?.text}
      </p>
    </div>
  );
}

interface PresetProps {
  name: ReactNode;
  explain: string;
  spoken: string;
  onPress: () => void;
}

function Preset({ name, explain, spoken, onPress }: PresetProps) {
  return (
    <Tooltip content={explain}>
      <button type="button" className="min-h-8 rounded-sm text-accent text-sm underline-offset-4 hover:underline" onClick={onPress}>
        {name}
        <span className="sr-only"> ({spoken})</span>
      </button>
    </Tooltip>
  );
}
