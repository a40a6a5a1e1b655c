"use client";
import { Chip } from "@/components/ui/chip";
import { Segmented } from "@/components/ui/segmented";
import { type LeftOutKind, leftOutKinds, type TraceView } from "@/lib/core/trace-link";
import type { TraceRow } from "./contributions";

const kindWords: Record<LeftOutKind, { name: string; explain: string }> = {
  always_on: { name: "always on", explain: "Active nearly everywhere, on whatever picture: they carry no news of this one." },
  sink: { name: "sinks", explain: "Active most on a position that gathers attention and says little." },
  positional: { name: "positional", explain: "Active by where a cell is, whatever lies in it." },
};

interface TraceControlsProps {
  view: TraceView;
  /** All features that were found, however the list is filtered. */
  rows: readonly TraceRow[];
  onLook: (patch: Partial<TraceView>) => void;
}

/** What of the contributions is shown, and how. */
export function TraceControls({ view, rows, onLook }: TraceControlsProps) {
  const { without } = view;
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Segmented
        label="View"
        size="md"
        value={view.view}
        onChange={(next) => onLook({ view: next })}
        options={[
          { value: "bars", name: "Bars" },
          { value: "graph", name: "Graph" },
          { value: "mend", name: "Mend it" },
        ]}
      />
      <Segmented
        label="Contributions from"
        value={view.where}
        onChange={(where) => onLook({ where })}
        options={[
          { value: "all", name: "All" },
          { value: "image", name: "Picture" },
          { value: "text", name: "Words" },
        ]}
      />
      {view.view === "bars" && (
        <Chip pressed={view.grouped} onClick={() => onLook({ grouped: !view.grouped })}>
          By concept
        </Chip>
      )}
      {leftOutKinds.map((kind) => {
        const count = rows.filter(({ kinds }) => kinds.includes(kind)).length;
        const pressed = without.includes(kind);
        if (count === 0 && !pressed) return null;
        return (
          <Chip
            key={kind}
            pressed={pressed}
            count={String(count)}
            title={kindWords[kind].explain}
            onClick={() => onLook({ without: pressed ? without.filter((one) => one !== kind) : [...without, kind] })}
          >
            Without {kindWords[kind].name}
          </Chip>
        );
      })}
    </div>
  );
}
