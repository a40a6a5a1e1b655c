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
  /** What is shown, e.g. "All features shown" or a feature's name. */
  title: string;
  sums: Float32Array;
  positions: readonly TracePosition[];
  pictures: readonly TracePicture[];
  alt: string;
}

/** Where the contribution comes from: over the picture's cells and over the words, both on one ramp that is centred on zero. */
export function WherePanel({ title, sums, positions, pictures, alt }: WherePanelProps) {
  const [chosen, setChosen] = useState("0");
  const [cell, setCell] = useState<{ cell: number | null; value: number }>({ cell: null, value: 0 });
  const at = Math.min(Number(chosen), Math.max(0, pictures.length - 1));
  const picture = pictures[at];
  const dense = useMemo(
    () => (picture ? overPicture(sums, positions, at, picture.rows * picture.cols) : new Float32Array()),
    [sums, positions, at, picture],
  );
  const most = greatest(sums);
  return (
    <section aria-label="Where it comes from" className="flex flex-col gap-3">
      <h3 dir="auto" className="truncate font-medium text-sm" title={title}>
        {title}
      </h3>
      {picture && (
        <>
          {pictures.length > 1 && (
            <Segmented
              label="Picture"
              value={String(at)}
              onChange={setChosen}
              options={pictures.map((_, i) => ({ value: String(i), name: `Picture ${i + 1}` }))}
            />
          )}
          <div className="overflow-hidden rounded-lg bg-sunken">
            <HeatmapCanvas
              src={picture.src}
              alt={alt}
              map={dense}
              rows={picture.rows}
              cols={picture.cols}
              max={most}
              scale="diverging"
              size={360}
              loading="eager"
              immediate
              onCell={(cell, value) => setCell({ cell, value })}
              highlightCell={cell.cell}
            />
          </div>
        </>
      )}
      <ColorScale max={most} scale="diverging" value={cell.cell === null ? null : cell.value} label="contribution of a cell or word" />
      <PromptWords sums={sums} positions={positions} max={most} />
    </section>
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
          <li key={i} className="flex">
            <span
              className={`whitespace-pre rounded px-1 py-0.5 ${mark || (template && !tint) ? "text-muted" : ""}`}
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
