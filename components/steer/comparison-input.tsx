"use client";
import { Segmented } from "@/components/ui/segmented";
import { Switch } from "@/components/ui/switch";
import type { GenerateRequest } from "@/lib/core/protocol";
import { controlNames } from "./arm-words";
import { Fold } from "./fold";
import { controlOrder, type SteerAction } from "./state";

interface ComparisonInputProps {
  controls: GenerateRequest["controls"];
  mode: GenerateRequest["mode"];
  send: (action: SteerAction) => void;
}

const modes = {
  delta:
    "The clamp's change is added to the model's own state; nothing else moves. Where the clamp asks for what is there, nothing happens.",
  reconstruct: "The paper's: the dictionary's output takes the state's place at every step, and clamps act on the prompt only.",
} as const;

/** What runs beside the steered arm, and by which method the clamps act. */
export function ComparisonInput({ controls, mode, send }: ComparisonInputProps) {
  const summary = [
    controls.length ? controls.map((control) => controlNames[control].name.toLowerCase()).join(", ") : "nothing beside it",
    mode === "reconstruct" ? "reconstruct" : null,
  ];
  return (
    <Fold title="Compare with" summary={summary.filter(Boolean).join(" · ")}>
      <ul className="flex flex-col gap-2">
        {controlOrder.map((control) => (
          <li key={control}>
            <Switch checked={controls.includes(control)} onChange={(on) => send({ type: "control", control, on })}>
              {controlNames[control].name}
            </Switch>
            <p className="pl-11 text-muted text-sm">{controlNames[control].explain}</p>
          </li>
        ))}
      </ul>
      <div className="mt-3">
        <p className="mb-1 font-medium text-sm" aria-hidden>
          Method
        </p>
        <Segmented
          label="Method"
          value={mode}
          onChange={(next) => send({ type: "mode", mode: next })}
          options={[
            { value: "delta", name: "Delta" },
            { value: "reconstruct", name: "Reconstruct" },
          ]}
        />
        <p className="mt-1 text-muted text-sm">{modes[mode]}</p>
      </div>
    </Fold>
  );
}
