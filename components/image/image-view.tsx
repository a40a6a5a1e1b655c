"use client";
import { useQuery } from "@tanstack/react-query";
import { Brush, FlaskConical, X } from "lucide-react";
import { parseAsInteger, parseAsString, useQueryStates } from "nuqs";
import { useCallback, useMemo, useState } from "react";
import { type CellState, noCell } from "@/components/feature/cell-picture";
import { PaintedFeatures, usePainted } from "@/components/region/painted-picture";
import { Breadcrumbs } from "@/components/shell/breadcrumbs";
import { useKeys } from "@/components/shell/use-keys";
import { Button } from "@/components/ui/button";
import { Chip } from "@/components/ui/chip";
import { cn } from "@/components/ui/cn";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { LinkButton } from "@/components/ui/link-button";
import { Skeleton } from "@/components/ui/skeleton";
import { analyseQueryOptions } from "@/lib/api/analyse";
import { asFacetError } from "@/lib/core/errors";
import { formatActivation, formatCount, formatIndex, formatNoun, inPrint } from "@/lib/core/format";
import type { Analysis, ImageInfo } from "@/lib/core/records";
import { isStatic, routes } from "@/lib/core/routes";
import { DictionaryChoice } from "./dictionary-choice";
import { decodeAnalysis, type Firing, groupFirings } from "./firing";
import { FiringList } from "./firing-list";
import { FiringPicture } from "./firing-picture";
import { HeatLegend } from "./heat-legend";
import type { ImageDictionary } from "./image-dictionary";

interface ImageViewProps {
  info: ImageInfo;
  /** From the stored examples: shown when the engine fails. */
  stored: Analysis | null;
  dictionary: ImageDictionary;
  dictionaries: ImageDictionary[];
}

const parsers = {
  /** Held feature. */
  feature: parseAsInteger,
  /** Held cell, row-major. */
  cell: parseAsInteger,
  /** A painted region, as `encodeRegion` writes it; empty while nothing is painted yet, null while nobody paints. */
  region: parseAsString,
};

/** One picture and everything that fires on it: look at a cell and the list follows, look at a row and the heat follows. */
export function ImageView({ info, stored, dictionary, dictionaries }: ImageViewProps) {
  const query = useQuery(analyseQueryOptions({ dictionary: dictionary.ref, image: { sha256: info.sha256 } }));
  const [held, setHeld] = useQueryStates(parsers, { history: "replace", shallow: true, scroll: false });
  const [hovered, setHovered] = useState<number | null>(null);
  const [looked, setLooked] = useState<number | null>(null);

  const caption = inPrint(info.caption);
  const failure = query.error ? asFacetError(query.error) : null;
  const analysis = query.data ?? (failure ? stored : null);
  const { rows, cols } = analysis ?? dictionary.grid;
  const firings = useMemo(() => (analysis ? decodeAnalysis(analysis) : []), [analysis]);
  const heldCell = held.cell !== null && held.cell >= 0 && held.cell < rows * cols ? held.cell : null;
  const cell: CellState = heldCell !== null ? { cell: heldCell, held: true } : { cell: hovered, held: false };
  const groups = useMemo(() => groupFirings(firings, cell.cell), [firings, cell.cell]);

  const setCell = (next: CellState) => {
    setHovered(next.cell);
    const hold = next.held ? next.cell : null;
    if (hold !== held.cell) setHeld({ cell: hold });
  };
  const holdFeature = useCallback((index: number | null) => void setHeld({ feature: index }), [setHeld]);
  const hrefOf = useCallback(
    (index: number) => routes.feature(dictionary.ref, index, { image: info.sha256 }),
    [dictionary.ref, info.sha256],
  );
  const release = () => (held.cell === null && held.feature === null ? false : void setHeld({ cell: null, feature: null }));
  useKeys({ Escape: release });
  const painted = usePainted({
    dictionary: dictionary.ref,
    sha256: info.sha256,
    grid: dictionary.grid,
    analysis,
    code: held.region,
    onCode: (region) => void setHeld({ region }),
  });
  const shown = (painted.on ? painted.firings : firings).find((firing) => firing.index === (looked ?? held.feature)) ?? null;

  return (
    <div className="mx-auto w-full max-w-[100rem] px-4 pb-16 sm:px-6">
      <div className="py-3">
        <Breadcrumbs
          items={[
            { name: dictionary.model, href: routes.home() },
            { name: dictionary.id, href: routes.dictionary(dictionary.ref) },
            { name: "Picture" },
          ]}
        />
      </div>
      <div className="grid gap-x-10 gap-y-4 lg:grid-cols-[minmax(0,1fr)_minmax(24rem,1fr)] grid-cols-[minmax(0,1fr)]">
        {/* Beside the list it stays; above the list, on a phone held upright, too. */}
        <div className="z-10 bg-surface lg:sticky lg:top-16 lg:self-start lg:pt-2 max-lg:[@media(min-height:40rem)]:sticky max-lg:[@media(min-height:40rem)]:top-14 max-lg:-mx-4 max-lg:px-4 max-lg:py-2">
          <div className="flex flex-col items-center gap-x-6 gap-y-3 sm:max-lg:flex-row lg:items-start">
            <FiringPicture
              src={routes.api.image(info.sha256)}
              alt={caption ? `Picture: ${caption}` : "Picture"}
              rows={rows}
              cols={cols}
              shown={shown}
              painting={painted.on ? painted.painting : null}
              cell={cell}
              onCell={setCell}
              describeCell={(at) => cellWords(firings, at)}
              className="w-[min(100%,36dvh)] shrink-0 lg:w-[min(100%,max(18rem,calc(100dvh-16rem)))]"
            />
            {!painted.on && (
              // Holds its place whether or not a feature is looked at.
              <HeatLegend shown={shown} cell={cell.cell} className="min-h-20 w-full min-w-0 text-sm lg:max-w-96">
                Look at a feature in the list to see where it fires; look at a cell to see what fires there. Press either to hold it.
              </HeatLegend>
            )}
          </div>
        </div>
        <div className="min-w-0">
          <h1 dir="auto" className={cn("text-pretty break-words font-semibold text-xl leading-snug", !caption && "text-muted")}>
            {caption ?? `Picture ${info.sha256.slice(0, 12)}`}
          </h1>
          <p className="num mt-1 text-muted text-sm">
            {info.width} × {info.height} px{info.source && ` · ${info.source}`}
          </p>
          <div className="mt-3 flex flex-wrap items-center gap-2">
            {dictionary.engine !== "none" && (
              <LinkButton
                variant="primary"
                size="sm"
                href={routes.steer({ dictionary: dictionary.ref, feature: held.feature ?? undefined, image: info.sha256 })}
              >
                <FlaskConical aria-hidden />
                Steer on this picture
              </LinkButton>
            )}
            {rows * cols > 0 && (
              <Button size="sm" aria-pressed={painted.on} onClick={() => void setHeld({ region: painted.on ? null : "", cell: null })}>
                <Brush aria-hidden />
                {painted.on ? "Stop painting" : "Paint a region"}
              </Button>
            )}
            <DictionaryChoice
              current={dictionary.ref}
              choices={dictionaries}
              hrefOf={(ref) => routes.image(info.sha256, { dictionary: ref })}
            />
          </div>
          <div className="mt-5 min-h-[60dvh]">
            {painted.on && analysis ? (
              <PaintedFeatures
                painted={painted}
                dictionary={dictionary}
                picture={info.sha256}
                hrefOf={hrefOf}
                held={held.feature}
                onHold={holdFeature}
                onLook={setLooked}
              />
            ) : failure && !analysis ? (
              <ErrorState error={failure} onRetry={() => query.refetch()} />
            ) : analysis ? (
              <>
                {failure && (
                  <p role="alert" className="mb-3 rounded-md bg-sunken px-3 py-2 text-sm">
                    {failure.message} The list holds only what the catalogue stored for this picture.{" "}
                    <button type="button" className="rounded-sm text-accent underline" onClick={() => query.refetch()}>
                      Try again
                    </button>
                  </p>
                )}
                <Summary
                  failed={failure !== null}
                  analysis={analysis}
                  cell={cell}
                  count={groups.reduce((sum, group) => sum + group.items.length, 0)}
                  onRelease={() => setCell(noCell)}
                />
                {held.feature !== null && !firings.some((firing) => firing.index === held.feature) && (
                  <p role="note" className="mb-3 rounded-md bg-sunken px-3 py-2 text-sm">
                    Feature {formatIndex(held.feature, dictionary.numLatents)} is not among those listed for this picture.{" "}
                    <button type="button" className="rounded-sm text-accent underline" onClick={() => holdFeature(null)}>
                      Let it go
                    </button>
                  </p>
                )}
                {groups.length > 0 ? (
                  <FiringList
                    groups={groups}
                    numLatents={dictionary.numLatents}
                    hrefOf={hrefOf}
                    held={held.feature}
                    onHold={holdFeature}
                    onLook={setLooked}
                  />
                ) : (
                  <NothingFires analysis={analysis} cell={cell.cell} />
                )}
              </>
            ) : (
              <ListSkeleton />
            )}
          </div>
        </div>
      </div>
    </div>
  );
}

/** For the reader of the picture: how many fire in a cell, and the strongest three. */
function cellWords(firings: Firing[], cell: number): string {
  const here = firings.filter((firing) => (firing.dense[cell] ?? 0) > 0).sort((a, b) => (b.dense[cell] ?? 0) - (a.dense[cell] ?? 0));
  const strongest = here.slice(0, 3).map((firing) => `${firing.label ?? `#${firing.index}`} ${formatActivation(firing.dense[cell])}`);
  return here.length === 0 ? "no feature fires" : `${formatNoun(here.length, "feature")}: ${strongest.join(", ")}`;
}

interface SummaryProps {
  analysis: Analysis;
  /** The engine failed, and was said to have. */
  failed: boolean;
  cell: CellState;
  count: number;
  onRelease: () => void;
}

function Summary({ analysis, failed, cell, count, onRelease }: SummaryProps) {
  const fires = analysis.source === "catalogue" ? "with stored examples on it" : analysis.total === 1 ? "fires on it" : "fire on it";
  const cut = analysis.total > analysis.features.length ? `, the strongest ${formatCount(analysis.features.length)} listed` : "";
  return (
    <div className="mb-3 space-y-2 text-sm">
      <p className="flex min-h-8 flex-wrap items-center gap-2" aria-live="polite">
        {cell.cell === null ? (
          <span className="num text-muted">
            {formatNoun(analysis.total, "feature")} {fires}
            {cut}, by mean activation
          </span>
        ) : (
          <>
            <span className="num text-muted">
              Row {Math.floor(cell.cell / analysis.cols) + 1}, column {(cell.cell % analysis.cols) + 1}: {formatNoun(count, "feature")}, by
              activation there
            </span>
            {cell.held && (
              <Chip pressed icon={<X aria-hidden />} onClick={onRelease}>
                Release
              </Chip>
            )}
          </>
        )}
      </p>
      {analysis.source === "catalogue" && !failed && (
        <p role="note" className="rounded-md bg-sunken px-3 py-2">
          {isStatic
            ? "This is a copy without a server, and the list holds only what the catalogue stored for this picture; more features may fire. “Paint a region” has the model look at it in this tab."
            : "No engine on this server runs this dictionary, so nothing can be steered on this picture, and the list holds only what the catalogue stored for it; more features may fire."}
        </p>
      )}
    </div>
  );
}

function NothingFires({ analysis, cell }: { analysis: Analysis; cell: number | null }) {
  if (cell !== null) return <EmptyState title="Nothing listed fires in this cell">Look at another one.</EmptyState>;
  return (
    <EmptyState title={analysis.source === "engine" ? "No feature fires on this picture" : "No stored example is on this picture"}>
      {analysis.source === "engine"
        ? "Try another dictionary."
        : "With an engine for this model, what fires would be computed and listed here."}
    </EmptyState>
  );
}

function ListSkeleton() {
  return (
    <div role="status" aria-label="Finding what fires on the picture" className="space-y-2">
      <Skeleton className="mb-3 h-8 w-72" />
      {Array.from({ length: 12 }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: blocks without identity
        <Skeleton key={i} className="h-8" />
      ))}
    </div>
  );
}
