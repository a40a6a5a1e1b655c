"use client";
import { Button } from "@/components/ui/button";
import type { TraceControl } from "@/lib/core/trace-link";
import { useAsking } from "./asking";

const reasons: Record<TraceControl, string> = {
  negated: "Under the opposite control a clamp added here would be turned round as well",
  random: "Under the random control a clamp added here would act along a random feature as well",
};

/** Why nothing is clamped and asked again under a control, and where it can be. */
export function ControlNote({ control }: { control: TraceControl }) {
  const { traceSteered } = useAsking();
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
      <p className="text-muted text-sm">
        {reasons[control]}, so nothing is asked again here. What removing a feature takes from this very answer is the mark on its bar.
      </p>
      <Button size="sm" onClick={traceSteered}>
        Trace the steered answer
      </Button>
    </div>
  );
}
