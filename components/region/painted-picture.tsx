"use client";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { decodeAnalysis, type Firing, firingScale } from "@/components/image/firing";
import { HeatLegend } from "@/components/image/heat-legend";
import { analyseQueryOptions } from "@/lib/api/analyse";
import { limits } from "@/lib/core/protocol";
import type { Analysis } from "@/lib/core/records";
import { isStatic } from "@/lib/core/routes";
import { InTabOffer } from "./in-tab-offer";
import { RegionPainter } from "./region-painter";
import { RegionResults } from "./region-results";
import { RegionTools } from "./region-tools";
import { type Painting, useRegion } from "./use-region";

interface Painted {
  /** Somebody paints. */
  on: boolean;
  painting: Painting;
  /** All that is known to fire on the picture, the weak ones too. */
  firings: Firing[];
  source: Analysis["source"] | null;
  /** Weak features are still being looked for. */
  more: boolean;
  onAnalysis: (analysis: Analysis) => void;
}

interface PaintedOptions {
  dictionary: string;
  sha256: string;
  grid: { rows: number; cols: number };
  /** What the page lists already. */
  analysis: Analysis | null;
  /** The address's region; null while nobody paints. */
  code: string | null;
  onCode: (code: string) => void;
}

/**
 * Painting on a catalogue picture. What fires weakly over the whole picture may be strong in a small region, so up to `limits.analysed` features are
 * asked for, of the server's engine; without one there is what the catalogue stored, until the model in this tab has looked.
 */
export function usePainted({ dictionary, sha256, grid, analysis, code, onCode }: PaintedOptions): Painted {
  const on = code !== null;
  const cut = analysis !== null && analysis.source === "engine" && analysis.features.length < analysis.total;
  const query = useQuery({ ...analyseQueryOptions({ dictionary, image: { sha256 }, limit: limits.analysed }), enabled: on && cut });
  const [inTab, setInTab] = useState<Analysis | null>(null);
  const best = inTab ?? query.data ?? analysis;
  const firings = useMemo(() => (on && best ? decodeAnalysis(best) : []), [on, best]);
  const { rows, cols } = analysis ?? grid;
  const painting = useRegion({ rows, cols, start: code ?? "", onCode, enabled: on });
  return { on, painting, firings, source: best?.source ?? null, more: cut && query.isPending, onAnalysis: setInTab };
}

interface PaintedPictureProps {
  src: string;
  alt: string;
  painting: Painting;
  /** The feature whose heat is looked at. */
  shown: Firing | null;
  className?: string;
}

/** The picture to paint on, its tools, and the scale of the heat that is looked at. */
export function PaintedPicture({ src, alt, painting, shown, className }: PaintedPictureProps) {
  const heat = useMemo(() => (shown ? { dense: shown.dense, max: firingScale(shown) } : null), [shown]);
  return (
    <div className="flex w-full min-w-0 flex-col items-center gap-2 text-sm lg:items-start">
      <RegionTools painting={painting} />
      <RegionPainter src={src} alt={alt} painting={painting} heat={heat} className={className} />
      <HeatLegend shown={shown} className="min-h-16 w-full max-lg:hidden lg:max-w-96" />
    </div>
  );
}

interface PaintedFeaturesProps {
  painted: Painted;
  dictionary: { ref: string; numLatents: number };
  picture: string;
  hrefOf: (index: number) => string;
  held: number | null;
  onHold: (index: number | null) => void;
  onLook: (index: number | null) => void;
}

/** What is inside the region of a catalogue picture and not outside. */
export function PaintedFeatures({ painted, dictionary, picture, ...list }: PaintedFeaturesProps) {
  const { painting, firings, source, more, onAnalysis } = painted;
  return (
    <>
      {source === "catalogue" && (
        <>
          <p role="note" className="mb-3 rounded-md bg-sunken px-3 py-2 text-sm">
            {isStatic ? "No engine has" : "No engine on this server"} looked at this picture: the list holds only features that have it
            among their stored examples.
          </p>
          <InTabOffer dictionary={dictionary.ref} sha256={picture} onAnalysis={onAnalysis} />
        </>
      )}
      {more && (
        <p role="status" className="mb-2 text-muted text-sm">
          Looking for weaker features…
        </p>
      )}
      <RegionResults
        painting={painting}
        firings={firings}
        dictionary={dictionary}
        picture={picture}
        panelled={source === "catalogue"}
        {...list}
      />
    </>
  );
}
