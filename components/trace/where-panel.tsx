"use client";
import { useMemo, useState } from "react";
import { divergingTint } from "@/components/feature/token-tint";
import { ColorScale } from "@/components/heatmap/color-scale";
import { HeatmapCanvas } from "@/components/heatmap/heatmap-canvas";
import { useTheme } from "@/components/shell/theme";
import { Segmented } from "@/components/ui/segmented";
import { greatest, overPicture, type TracePosition } from "./contributions";
import { formatContribution } from "./format";

export interface TracePicture {
  src: string;
  rows: number;
  cols: number;
}

interface WherePanelProps {
  /** What is shown, e.g. "All features" or a feature's name; null where that stands above already. */
  title: string | null;
  /** At each position of the sequence. */
  sums: Float32Array;
  positions: readonly TracePosition[];
  pictures: readonly TracePicture[];
  /** Which of several pictures is shown. */
  chosen: number;
  onChoose: (picture: number) => void;
}

/**
 * Where the contribution comes from: over the picture's cells and over the words. Each has a ramp of its own, centred on zero, with its numbers: a picture's
 * share lies on a hundred cells and a word's on one, which would leave the picture blank on a common one.
 */
export function WherePanel({ title, sums, positions, pictures, chosen, onChoose }: WherePanelProps) {
  const [cell, setCell] = useState<{ cell: number | null; value: number }>({ cell: null, value: 0 });
  const at = Math.min(chosen, Math.max(0, pictures.length - 1));
  const picture = pictures[at];
  const dense = useMemo(
    () => (picture ? overPicture(sums, positions, at, picture.rows * picture.cols) : new Float32Array()),
    [sums, positions, at, picture],
  );
  const most = useMemo(() => {
    const of = (image: boolean) => greatest(sums.filter((_, i) => (positions[i]?.kind === "image") === image));
    return { picture: of(true), words: of(false) };
  }, [sums, positions]);
  return (
    <section aria-label="Where it comes from" className="flex flex-col gap-3">
      {title !== null && (
        <h3 dir="auto" className="truncate font-medium text-sm" title={title}>
          {title}
        </h3>
      )}
      <div className="flex flex-col gap-3 max-lg:grid max-lg:grid-cols-[minmax(8rem,14rem)_minmax(0,1fr)] max-lg:gap-4">
        {picture && (
          <div className="flex min-w-0 flex-col gap-2">
            {pictures.length > 1 && (
              <Segmented
                label="Picture"
                value={String(at)}
                onChange={(next) => onChoose(Number(next))}
                options={pictures.map((_, i) => ({ value: String(i), name: `Picture ${i + 1}` }))}
              />
            )}
            <div className="overflow-hidden rounded-lg bg-sunken">
              <HeatmapCanvas
                src={picture.src}
                alt={`Contributions over the picture: ${title ?? "this feature"}`}
                map={dense}
                rows={picture.rows}
                cols={picture.cols}
                max={most.picture}
                scale="diverging"
                size={360}
                loading="eager"
                immediate
                onCell={(cell, value) => setCell({ cell, value })}
                highlightCell={cell.cell}
              />
            </div>
            <Scale
              max={most.picture}
              value={cell.cell === null ? null : cell.value}
              label="a cell's contribution"
              none="Nothing comes from the picture."
            />
          </div>
        )}
        <div className="flex min-w-0 flex-col gap-2">
          <PromptWords sums={sums} positions={positions} max={most.words} />
          <Scale max={most.words} value={null} label="a word's contribution" none="Nothing comes from words." />
        </div>
      </div>
    </section>
  );
}

/** The ramp, or that there is nothing on it, in as much room: what is below must not move while it is pressed. */
function Scale({ max, value, label, none }: { max: number; value: number | null; label: string; none: string }) {
  return (
    <div className="relative">
      <ColorScale max={max} scale="diverging" value={value} label={label} className={max > 0 ? "min-w-0" : "invisible min-w-0"} />
      {!(max > 0) && <p className="absolute inset-x-0 top-0 text-muted text-xs">{none}</p>}
    </div>
  );
}

/** The words that the model was given, tinted by what they contribute; pictures stand as a mark in their place. */
export function PromptWords({ sums, positions, max }: { sums: Float32Array; positions: readonly TracePosition[]; max: number }) {
  const theme = useTheme();
  const shown = positions.flatMap((position, i) => {
    // One mark for all the cells of a picture.
    if (position.kind === "image") return position.cell?.cell === 0 ? [{ i, text: "[picture]", mark: true, template: false }] : [];
    return [{ i, text: position.text, mark: false, template: position.kind === "template" }];
  });
  return (
    <ul aria-label="Words and what each contributes" dir="auto" className="flex flex-wrap gap-x-0.5 gap-y-1 text-sm">
      {shown.map(({ i, text, mark, template }) => {
        const value = sums[i] ?? 0;
        const tint = mark ? null : divergingTint(value, max, theme);
        return (
          <li key={i} className="flex min-w-0">
            <span
              className={`truncate whitespace-pre rounded px-1 py-0.5 ${mark || (template && !tint) ? "text-muted" : ""}`}
              style={tint ? { background: tint.background, color: tint.ink } : undefined}
              title={mark ? undefined : formatContribution(value, 4)}
            >
              {text.trim().replaceAll("\n", "↵") || "␣"}
              {tint && <span className="sr-only"> {formatContribution(value, 3)}</span>}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
