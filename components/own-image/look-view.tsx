"use client";
import { useCallback, useMemo, useState } from "react";
import { type CellState, noCell } from "@/components/feature/cell-picture";
import { decodeAnalysis } from "@/components/image/firing";
import { FiringList } from "@/components/image/firing-list";
import { FiringPicture } from "@/components/image/firing-picture";
import { HeatLegend } from "@/components/image/heat-legend";
import { RegionResults } from "@/components/region/region-results";
import { useRegion } from "@/components/region/use-region";
import { useKeys } from "@/components/shell/use-keys";
import { EmptyState } from "@/components/ui/empty-state";
import { Segmented } from "@/components/ui/segmented";
import { formatActivation, formatNoun } from "@/lib/core/format";
import type { Dictionary } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { ExamplesBeside } from "./examples-beside";
import { type Ranking, rankFirings, rankingNames, rankings, rankingWords } from "./ranking";
import { SeenPicture } from "./seen-picture";
import type { Looked, Picture } from "./use-picture";

/** Features of a group that are listed. All that were found are ranked: one that is weak over the picture may be strong in a cell. */
const listed = 200;

/** A picture that was looked at, as it is shown. */
export interface Shown extends Looked {
  picture: Picture;
  src: string;
  name: string;
}

interface LookViewProps {
  looked: Shown;
  dictionary: Dictionary;
  /** Somebody paints a region. */
  paints: boolean;
  region: string | null;
  onRegion: (region: string) => void;
  ranking: Ranking;
  onRanking: (ranking: Ranking) => void;
}

/** The picture with its list: cell by cell, or by a painted region. */
export function LookView({ looked, dictionary, paints, region, onRegion, ranking, onRanking }: LookViewProps) {
  const { analysis, picture, src, name, seen, milliseconds } = looked;
  const { rows, cols } = analysis;
  const [cell, setCell] = useState<CellState>(noCell);
  const [held, setHeld] = useState<number | null>(null);
  const [glanced, setGlanced] = useState<number | null>(null);
  const firings = useMemo(() => decodeAnalysis(analysis), [analysis]);
  const groups = useMemo(() => rankFirings(firings, ranking, cell.cell, listed), [firings, ranking, cell.cell]);
  const painting = useRegion({ rows, cols, start: region ?? "", onCode: onRegion, enabled: paints });
  const shown = firings.find(({ index }) => index === (glanced ?? held)) ?? null;
  const alt = picture.kind === "own" ? `Your picture ${name}` : `Picture: ${name}`;
  const hrefOf = useCallback((index: number) => routes.feature(dictionary.ref, index), [dictionary.ref]);
  const release = () => {
    if (held === null && !cell.held) return false;
    setHeld(null);
    setCell(noCell);
  };
  useKeys({ Escape: release });
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-x-10 gap-y-4 lg:grid-cols-[minmax(0,1fr)_minmax(24rem,1fr)]">
      <div className="flex flex-col gap-3 max-lg:contents lg:sticky lg:top-16 lg:self-start">
        {/* Above the list, on a phone held upright, it stays: a row that is pressed shows its heat there. */}
        <div className="z-10 flex justify-center bg-surface lg:justify-start max-lg:[@media(min-height:40rem)]:sticky max-lg:[@media(min-height:40rem)]:top-14 max-lg:-mx-4 max-lg:px-4 max-lg:py-2">
          <FiringPicture
            src={src}
            alt={alt}
            rows={rows}
            cols={cols}
            shown={shown}
            painting={paints ? painting : null}
            cell={cell}
            onCell={setCell}
            describeCell={(at) => formatNoun(firings.filter(({ dense }) => (dense[at] ?? 0) > 0).length, "feature")}
            className="w-[min(100%,36dvh)] shrink-0 lg:w-[min(100%,max(18rem,calc(100dvh-20rem)))]"
          />
        </div>
        {!paints && (
          <div className="flex min-h-16 flex-wrap items-start gap-4 text-sm">
            <SeenPicture seen={seen} />
            <HeatLegend shown={shown} cell={cell.cell} className="min-w-0 grow basis-48">
              Look at a feature to see where it fires; look at a cell to see what fires there. Press either to hold it.
            </HeatLegend>
          </div>
        )}
        {held !== null && <ExamplesBeside dictionary={dictionary.ref} index={held} />}
      </div>
      <div className="min-w-0">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
          {!paints && (
            <Segmented<Ranking>
              label="Order of the features"
              value={ranking}
              onChange={onRanking}
              options={rankings.map((value) => ({ value, name: rankingNames[value] }))}
            />
          )}
          <p className="num text-muted text-sm">
            {formatNoun(analysis.total, "feature")} fire{analysis.total === 1 ? "s" : ""} · found in {formatActivation(milliseconds / 1000)}{" "}
            s{groups.some(({ items }) => items.length === listed) && ` · the first ${listed} listed`}
          </p>
        </div>
        {paints ? (
          <div className="mt-3">
            <RegionResults
              painting={painting}
              firings={firings}
              dictionary={dictionary}
              hrefOf={hrefOf}
              held={held}
              onHold={setHeld}
              onLook={setGlanced}
              picture={picture.kind === "catalogue" ? picture.id : undefined}
              discreet
            />
          </div>
        ) : (
          <>
            <p className="mt-2 mb-3 text-muted text-sm">
              {cell.cell === null
                ? rankingWords[ranking]
                : `Row ${Math.floor(cell.cell / cols) + 1}, column ${(cell.cell % cols) + 1}: by activation there.`}
            </p>
            {groups.length > 0 ? (
              <FiringList
                groups={groups}
                numLatents={dictionary.numLatents}
                hrefOf={hrefOf}
                held={held}
                onHold={setHeld}
                discreet
                onLook={setGlanced}
              />
            ) : (
              <EmptyState title="Nothing listed fires in this cell">Look at another one.</EmptyState>
            )}
          </>
        )}
      </div>
    </div>
  );
}
