"use client";
import { Segmented } from "@/components/ui/segmented";
import { Term } from "@/components/ui/term";

/** Steps of the integrated gradient that is offered; an address may ask for others. */
const usualSteps = 16;

/** How a contribution is computed, chosen and said. */
export function MethodChoice({ steps, onChoose }: { steps: number | null; onChoose: (steps: number | null) => void }) {
  return (
    <div className="flex flex-col gap-1.5 text-sm">
      <Segmented
        label="How contributions are computed"
        value={steps === null ? "gradient" : "integrated"}
        onChange={(next) => onChoose(next === "gradient" ? null : usualSteps)}
        options={[
          { value: "gradient", name: "Gradient" },
          { value: "integrated", name: `Integrated, ${steps ?? usualSteps} steps` },
        ]}
        className="self-start"
      />
      <p className="text-muted text-xs">
        Of each feature:{" "}
        <Term
          explain={
            steps === null
              ? "How much the feature is active at a position, times how the metric would change along its direction there, as the state is. Best for what removing this one feature does."
              : `The same with the mean gradient at ${steps} points on the way from the state without any feature to the state as it is. Best for sharing out what removing all of them at once does.`
          }
        >
          activation × {steps === null ? "gradient" : "mean gradient"} along its direction
        </Term>
        , summed over all positions.
      </p>
    </div>
  );
}
