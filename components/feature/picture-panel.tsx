"use client";
import { useQuery } from "@tanstack/react-query";
import { ChevronLeft, ChevronRight, FlaskConical, Grid3x3, ScanSearch, Spline } from "lucide-react";
import Link from "next/link";
import { useMemo } from "react";
import { ColorScale } from "@/components/heatmap/color-scale";
import { IconButton } from "@/components/ui/icon-button";
import { Segmented } from "@/components/ui/segmented";
import { Slider } from "@/components/ui/slider";
import { Switch } from "@/components/ui/switch";
import { imageInfoQueryOptions } from "@/lib/api/images";
import { formatActivation, formatCount, inPrint } from "@/lib/core/format";
import type { FeatureDetail, ImageExample } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { CellPicture, type CellState } from "./cell-picture";
import { Filmstrip, type Look } from "./filmstrip";
import { activeCells, type Examples, imageParam, type PictureTab, peakCell, pictureScale, picturesOf } from "./pictures";
import type { SetViewState, ViewState } from "./view-state";

interface PicturePanelProps {
  detail: FeatureDetail;
  /** Its examples, with the picture of the link where that is not among them. */
  examples: Examples;
  /** The present picture's activations, `rows × cols`. */
  dense: Float32Array;
  tab: PictureTab;
  position: number;
  view: ViewState;
  setView: SetViewState;
  cell: CellState;
  onCell: (cell: CellState) => void;
}

/** One band: a large picture with its reading, and the filmstrip under it. */
export function PicturePanel({ detail, examples, dense, tab, position, view, setView, cell, onCell }: PicturePanelProps) {
  const pictures = picturesOf(examples, tab.key);
  const picture = pictures[position] as ImageExample;
  const look: Look = useMemo(
    () => ({
      show: view.heat === "on",
      opacity: view.opacity / 100,
      smooth: view.draw === "smooth",
      max: pictureScale({ ...examples, feature: detail.feature }),
    }),
    [view.heat, view.opacity, view.draw, detail, examples],
  );
  const value = cell.cell === null ? null : (dense[cell.cell] ?? 0);
  const choose = (next: number) => {
    const chosen = pictures[next];
    if (chosen) setView({ band: tab.key, image: imageParam(tab.key, chosen) });
  };
  const ref = detail.dictionary.ref;
  const caption = inPrint(useQuery(imageInfoQueryOptions(picture.image)).data?.caption);

  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-x-6 gap-y-4 [--picture:max(18rem,calc(100dvh-19.5rem))] sm:grid-cols-[minmax(0,var(--picture))_minmax(11.5rem,1fr)] sm:grid-rows-[auto_1fr_auto]">
      <CellPicture
        src={routes.api.image(picture.image)}
        alt={`Picture ${position + 1} of ${pictures.length}${caption ? `: ${caption}` : ""}`}
        dense={dense}
        rows={picture.rows}
        cols={picture.cols}
        {...look}
        state={cell}
        onState={onCell}
        startCell={peakCell(picture) ?? 0}
        holdHint="Enter holds one"
        size={640}
        loading="eager"
        immediate
        className="w-full max-w-[max(18rem,65dvh)] justify-self-center sm:row-span-2 sm:max-w-none sm:self-start"
      />
      <ColorScale
        max={look.max}
        value={value ?? picture.peak}
        label={value === null ? "activation (peak)" : "activation (cell)"}
        className="sm:max-w-60"
      />
      <div className="min-w-0 sm:col-span-2 sm:row-start-3">
        <Filmstrip
          pictures={pictures}
          position={position}
          onPosition={choose}
          cell={cell.cell}
          look={look}
          label={`${tab.name} pictures. ${tab.explains}`}
        />
      </div>
      <div className="flex flex-col gap-4 text-sm sm:col-start-2 sm:row-start-2 sm:max-w-60">
        <Reading picture={picture} cell={cell} value={value} />
        <HeatControls view={view} setView={setView} />
        <div className="-ml-2 flex items-center gap-1 max-sm:hidden">
          <IconButton label="Previous picture" shortcut="←" size="sm" disabled={position === 0} onClick={() => choose(position - 1)}>
            <ChevronLeft />
          </IconButton>
          <span className="num text-muted">
            {position + 1} / {pictures.length}
          </span>
          <IconButton
            label="Next picture"
            shortcut="→"
            size="sm"
            disabled={position === pictures.length - 1}
            onClick={() => choose(position + 1)}
          >
            <ChevronRight />
          </IconButton>
        </div>
        <div className="flex flex-col gap-2 sm:mt-auto">
          {/* Room for it is kept, whether it has come or not. */}
          <p dir="auto" className="line-clamp-3 min-h-5 break-words text-muted sm:min-h-10" title={caption ?? undefined}>
            {caption}
          </p>
          <Link
            href={routes.image(picture.image, { dictionary: ref, feature: detail.feature.index })}
            className="inline-flex items-start gap-2 rounded-sm py-1 text-accent underline-offset-4 hover:underline"
          >
            <ScanSearch className="mt-0.5 size-4 shrink-0" aria-hidden />
            What else fires on this picture
          </Link>
          {detail.dictionary.engine !== "none" && (
            <Link
              href={routes.steer({ dictionary: ref, feature: detail.feature.index, image: picture.image })}
              className="inline-flex items-start gap-2 rounded-sm py-1 text-accent underline-offset-4 hover:underline"
            >
              <FlaskConical className="mt-0.5 size-4 shrink-0" aria-hidden />
              Steer on this picture
            </Link>
          )}
        </div>
      </div>
    </div>
  );
}

/** What the picture or the cell says, in the same three lines whichever it is, so that nothing moves. */
function Reading({ picture, cell, value }: { picture: ImageExample; cell: CellState; value: number | null }) {
  const rows: [string, string][] =
    cell.cell === null
      ? [
          ["Peak", formatActivation(picture.peak)],
          ["Mean", formatActivation(picture.mean)],
          ["Active cells", `${formatCount(activeCells(picture))} of ${formatCount(picture.rows * picture.cols)}`],
        ]
      : [
          [cell.held ? "Cell, held" : "Cell", formatActivation(value)],
          ["Row", `${Math.floor(cell.cell / picture.cols) + 1} of ${picture.rows}`],
          ["Column", `${(cell.cell % picture.cols) + 1} of ${picture.cols}`],
        ];
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-0.5">
      {rows.map(([term, text]) => (
        <div key={term} className="contents">
          <dt className="text-muted">{term}</dt>
          <dd className="num text-right">{text}</dd>
        </div>
      ))}
    </dl>
  );
}

function HeatControls({ view, setView }: { view: ViewState; setView: SetViewState }) {
  const on = view.heat === "on";
  return (
    <div className="flex flex-col gap-2">
      <div className="flex items-center justify-between gap-2">
        <Switch checked={on} onChange={(next) => setView({ heat: next ? "on" : "off" })}>
          Heat
        </Switch>
        <Segmented
          label="How the heat is drawn"
          value={view.draw}
          onChange={(draw) => setView({ draw })}
          options={[
            { value: "smooth", name: "Smooth", icon: <Spline /> },
            { value: "cells", name: "Cells", icon: <Grid3x3 /> },
          ]}
        />
      </div>
      <div className="flex items-center gap-3">
        <Slider
          label="Heat opacity"
          min={0}
          max={100}
          step={5}
          value={view.opacity}
          disabled={!on}
          onChange={(opacity) => setView({ opacity })}
          format={(percent) => `${percent} %`}
        />
        <span className="num w-12 shrink-0 text-right text-muted">{view.opacity} %</span>
      </div>
    </div>
  );
}
