"use client";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ComparePictures } from "@/components/compare/compare-pictures";
import { CellPicture, type CellState, noCell } from "@/components/feature/cell-picture";
import { ColorScale } from "@/components/heatmap/color-scale";
import { decodeAnalysis, firingScale } from "@/components/image/firing";
import { FiringList } from "@/components/image/firing-list";
import { failedInTab, loadInTab, useInTab } from "@/components/local-engine/in-tab";
import { TabPanel } from "@/components/local-engine/tab-panel";
import { PaintedPicture } from "@/components/region/painted-picture";
import { RegionResults } from "@/components/region/region-results";
import { useFragment } from "@/components/region/use-fragment";
import { useRegion } from "@/components/region/use-region";
import { useKeys } from "@/components/shell/use-keys";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { Segmented } from "@/components/ui/segmented";
import { WordsView } from "@/components/words/words-view";
import { enginePackageQueryOptions, featureNamesQueryOptions } from "@/lib/api/engine";
import { asFacetError, FacetError } from "@/lib/core/errors";
import { formatActivation, formatNoun } from "@/lib/core/format";
import { limits } from "@/lib/core/protocol";
import type { Analysis, Dictionary } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { sha256 } from "@/lib/core/sha256";
import { encodeMap } from "@/lib/core/sparse-map";
import { ExamplesBeside } from "./examples-beside";
import { PictureDrop } from "./picture-drop";
import { type Ranking, rankFirings, rankingNames, rankings, rankingWords } from "./ranking";
import { SeenPicture } from "./seen-picture";

/** Features that are listed; more are looked for, since one that is weak over the picture may be strong in a painted region. */
const listed = 200;

interface Looked {
  picture: File;
  sha256: string;
  analysis: Analysis;
  seen: { size: number; data: Uint8Array };
  milliseconds: number;
}

/** A picture of one's own and all that fires on it, found by the model in this tab: the picture is sent to nobody. */
export function OwnImageView({ dictionary }: { dictionary: Dictionary }) {
  const client = useQueryClient();
  const pack = useQuery(enginePackageQueryOptions(dictionary.ref));
  const state = useInTab();
  const [picture, setPicture] = useState<File | null>(null);
  const [looked, setLooked] = useState<Looked | null>(null);
  const [error, setError] = useState<FacetError | null>(null);
  const turn = useRef<AbortController>(null);
  const failedLoad = useRef<FacetError>(null);

  const look = useCallback(
    async (file: File) => {
      turn.current?.abort();
      const mine = new AbortController();
      turn.current = mine;
      setPicture(file);
      setLooked(null);
      setError(null);
      try {
        const [found, names, bytes] = await Promise.all([
          client.fetchQuery(enginePackageQueryOptions(dictionary.ref)),
          client.fetchQuery(featureNamesQueryOptions(dictionary.ref)),
          file.arrayBuffer(),
        ]);
        if (!found) throw new FacetError("engine_unavailable", `This server has no model files for ${dictionary.ref}.`);
        const hash = await sha256(new Uint8Array(bytes));
        const engine = await loadInTab(found).catch((thrown: FacetError) => {
          failedLoad.current = thrown;
          throw thrown;
        });
        const start = performance.now();
        const request = { dictionary: dictionary.ref, image: { sha256: hash }, limit: limits.analysed };
        const features = await engine.features(request, new Map([[hash, file]]), mine.signal);
        const milliseconds = performance.now() - start;
        const seen = await engine.seen(file, mine.signal);
        const byIndex = new Map(names.items.map((name) => [name.index, name]));
        const nameless = { label: null, concept: null, density: null, alwaysOn: false, sink: false, maxActivation: null };
        const analysis: Analysis = {
          dictionary: dictionary.ref,
          source: "engine",
          rows: features.rows,
          cols: features.cols,
          total: features.total,
          features: features.features.map(({ index, mean, peak, map }) => ({
            ...(byIndex.get(index) ?? { index, ...nameless }),
            mean,
            peak,
            map: encodeMap(map),
          })),
        };
        if (!mine.signal.aborted) setLooked({ picture: file, sha256: hash, analysis, seen, milliseconds });
      } catch (thrown) {
        const failed = failedInTab(thrown);
        // One that was stopped is told too: the picture waits for a load that only a person begins again.
        if (!mine.signal.aborted) setError(failed);
      }
    },
    [client, dictionary.ref],
  );
  useEffect(() => () => turn.current?.abort(), []);
  // A picture that waited for the model is looked at once a retry has brought it.
  const waits = state.status === "ready" && picture !== null && looked === null && error !== null && error === failedLoad.current;
  useEffect(() => {
    if (waits && picture) void look(picture);
  }, [waits, picture, look]);

  if (pack.data === null || (pack.data && pack.data.sha256 !== dictionary.sha256)) {
    return (
      <EmptyState title="This server has no model that a tab could run">
        Point FACET_ENGINE_DIR at the model&rsquo;s export and restart, or choose another dictionary.
      </EmptyState>
    );
  }
  return (
    <div className="flex flex-col gap-5">
      {pack.error && <ErrorState error={asFacetError(pack.error)} onRetry={() => pack.refetch()} />}
      {pack.data && (
        <TabPanel pack={pack.data}>
          The model that looks at your picture runs in this tab: the picture stays on this machine. Names of all features come in one list,
          so that not even they tell what is on it; examples of a feature are asked for when you press it.
        </TabPanel>
      )}
      <PictureDrop picture={picture} onPicture={(file) => void look(file)} />
      {error && state.status !== "failed" && <ErrorState error={error} onRetry={picture ? () => void look(picture) : undefined} />}
      {picture && !looked && !error && (
        <p role="status" className="text-muted text-sm">
          {state.status === "loading" ? "Your picture is looked at as soon as the model is here." : "Looking at the picture…"}
        </p>
      )}
      {picture && state.status === "failed" && (
        <p className="text-muted text-sm">Your picture is looked at as soon as the model is here.</p>
      )}
      {looked && <Result key={looked.sha256} looked={looked} dictionary={dictionary} />}
    </div>
  );
}

type Mode = "look" | "paint" | "compare" | "words";

/** What one does with the picture. */
function Result({ looked, dictionary }: { looked: Looked; dictionary: Dictionary }) {
  // After the #: not even the outline of what one painted is sent with the page's address.
  const [region, setRegion] = useFragment("region");
  const [mode, setMode] = useState<Mode>(region === null ? "look" : "paint");
  return (
    <div className="flex flex-col gap-4">
      <Segmented<Mode>
        label="What to do with the picture"
        value={mode}
        onChange={(next) => {
          setMode(next);
          setRegion(next === "paint" ? (region ?? "") : null);
        }}
        options={[
          { value: "look", name: "Look" },
          { value: "paint", name: "Paint a region" },
          { value: "compare", name: "Compare" },
          { value: "words", name: "Words too" },
        ]}
        className="self-start"
      />
      {mode === "compare" ? (
        <ComparePictures first={looked} dictionary={dictionary} />
      ) : mode === "words" ? (
        <WordsView picture={looked.picture} sha256={looked.sha256} dictionary={dictionary} />
      ) : (
        <Look looked={looked} dictionary={dictionary} region={region} onRegion={setRegion} />
      )}
    </div>
  );
}

interface LookProps {
  looked: Looked;
  dictionary: Dictionary;
  /** Null while nobody paints. */
  region: string | null;
  onRegion: (region: string) => void;
}

/** The picture with its list: cell by cell, or by a painted region. */
function Look({ looked, dictionary, region, onRegion }: LookProps) {
  const { analysis, picture, seen, milliseconds } = looked;
  const { rows, cols } = analysis;
  const [ranking, setRanking] = useState<Ranking>("rarity");
  const [cell, setCell] = useState<CellState>(noCell);
  const [held, setHeld] = useState<number | null>(null);
  const [glanced, setGlanced] = useState<number | null>(null);
  const [src, setSrc] = useState<string | null>(null);
  useEffect(() => {
    const url = URL.createObjectURL(picture);
    setSrc(url);
    return () => URL.revokeObjectURL(url);
  }, [picture]);
  const firings = useMemo(() => decodeAnalysis(analysis), [analysis]);
  const groups = useMemo(() => rankFirings(firings.slice(0, listed), ranking, cell.cell), [firings, ranking, cell.cell]);
  const paints = region !== null;
  const painting = useRegion({ rows, cols, start: region ?? "", onCode: onRegion, enabled: paints });
  const shown = firings.find(({ index }) => index === (glanced ?? held)) ?? null;
  const nothing = useMemo(() => new Float32Array(rows * cols), [rows, cols]);
  const pictureSize = "w-[min(100%,max(18rem,calc(100dvh-20rem)))]";
  const hrefOf = useCallback((index: number) => routes.feature(dictionary.ref, index), [dictionary.ref]);
  const release = () => {
    if (held === null && !cell.held) return false;
    setHeld(null);
    setCell(noCell);
  };
  useKeys({ Escape: release });
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-x-10 gap-y-4 lg:grid-cols-[minmax(0,1fr)_minmax(24rem,1fr)]">
      <div className="flex flex-col gap-3 lg:sticky lg:top-16 lg:self-start">
        {src && paints && (
          <PaintedPicture src={src} alt={`Your picture ${picture.name}`} painting={painting} shown={shown} className={pictureSize} />
        )}
        {src && !paints && (
          <CellPicture
            src={src}
            alt={`Your picture ${picture.name}`}
            dense={shown?.dense ?? nothing}
            rows={rows}
            cols={cols}
            max={shown ? firingScale(shown) : 1}
            state={cell}
            onState={setCell}
            startCell={0}
            describeCell={(at) => `${formatNoun(firings.filter(({ dense }) => (dense[at] ?? 0) > 0).length, "feature")}`}
            holdHint="Enter holds one and keeps the list to it"
            size={640}
            loading="eager"
            immediate
            className={pictureSize}
          />
        )}
        {!paints && (
          <div className="flex min-h-16 flex-wrap items-start gap-4 text-sm">
            <SeenPicture seen={seen} />
            <div className="min-w-0 grow basis-48">
              {shown ? (
                <>
                  <p dir="auto" className="truncate font-medium">
                    {shown.label ?? `Feature #${shown.index}`}
                  </p>
                  <ColorScale
                    max={firingScale(shown)}
                    value={cell.cell === null ? shown.peak : (shown.dense[cell.cell] ?? 0)}
                    label={cell.cell === null ? "activation (peak)" : "activation (cell)"}
                    className="mt-1 min-w-0"
                  />
                </>
              ) : (
                <p className="text-muted">
                  Look at a feature to see where it fires; look at a cell to see what fires there. Press either to hold it.
                </p>
              )}
            </div>
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
              onChange={setRanking}
              options={rankings.map((value) => ({ value, name: rankingNames[value] }))}
            />
          )}
          <p className="num text-muted text-sm">
            {formatNoun(analysis.total, "feature")} fire{analysis.total === 1 ? "s" : ""} · found in {formatActivation(milliseconds / 1000)}{" "}
            s
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
