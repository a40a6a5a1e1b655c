"use client";
import { useQueryClient } from "@tanstack/react-query";
import { ImageUp } from "lucide-react";
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ColorScale } from "@/components/heatmap/color-scale";
import { HeatmapCanvas } from "@/components/heatmap/heatmap-canvas";
import { decodeAnalysis, type Firing, firingScale } from "@/components/image/firing";
import { analyseInTab } from "@/components/local-engine/analyse-in-tab";
import { failedInTab } from "@/components/local-engine/in-tab";
import { useKeys } from "@/components/shell/use-keys";
import { picturesIn } from "@/components/steer/prepare-upload";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { ErrorState } from "@/components/ui/error-state";
import { Segmented } from "@/components/ui/segmented";
import type { FacetError } from "@/lib/core/errors";
import { formatNoun } from "@/lib/core/format";
import { analyseRequestSchema, limits } from "@/lib/core/protocol";
import type { Analysis, Dictionary } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { sha256 } from "@/lib/core/sha256";
import { compareFirings, type Difference, type Measure, measureNames, measures, measureWords } from "./difference";
import { DifferenceList } from "./difference-list";

export interface Compared {
  picture: File;
  analysis: Analysis;
}

/** An address of the file for this page alone. */
function useObjectUrl(file: File | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!file) return setUrl(null);
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url;
}

/** Two pictures of one's own side by side: what fires on both or on one alone, by how much they differ, with heat on both. All of it in this tab. */
export function ComparePictures({ first, dictionary }: { first: Compared; dictionary: Dictionary }) {
  const client = useQueryClient();
  const [picture, setPicture] = useState<File | null>(null);
  const [second, setSecond] = useState<Compared | null>(null);
  const [error, setError] = useState<FacetError | null>(null);
  const turn = useRef<AbortController>(null);
  const look = useCallback(
    async (file: File) => {
      turn.current?.abort();
      const mine = new AbortController();
      turn.current = mine;
      setPicture(file);
      setSecond(null);
      setError(null);
      try {
        const hash = await sha256(new Uint8Array(await file.arrayBuffer()));
        const request = analyseRequestSchema.parse({ dictionary: dictionary.ref, image: { sha256: hash }, limit: limits.analysed });
        const analysis = await analyseInTab(client, request, new Map([[hash, file]]), mine.signal);
        if (!mine.signal.aborted) setSecond({ picture: file, analysis });
      } catch (thrown) {
        const failed = failedInTab(thrown);
        if (!mine.signal.aborted && failed.code !== "cancelled") setError(failed);
      }
    },
    [client, dictionary.ref],
  );
  useEffect(() => () => turn.current?.abort(), []);
  // While the second place is free, a pasted picture goes there: before the page's own place for one hears of it.
  useEffect(() => {
    if (picture) return;
    const paste = (event: ClipboardEvent) => {
      const [pasted] = picturesIn(event.clipboardData);
      if (!pasted) return;
      event.preventDefault();
      void look(pasted);
    };
    document.addEventListener("paste", paste, true);
    return () => document.removeEventListener("paste", paste, true);
  }, [picture, look]);

  return (
    <Comparison first={first} second={second} dictionary={dictionary}>
      <SecondPlace picture={picture} onPicture={(file) => void look(file)} />
      {error ? (
        <ErrorState error={error} onRetry={picture ? () => void look(picture) : undefined} />
      ) : (
        picture &&
        !second && (
          <p role="status" className="text-muted text-sm">
            Looking at the second picture…
          </p>
        )
      )}
    </Comparison>
  );
}

function SecondPlace({ picture, onPicture }: { picture: File | null; onPicture: (file: File) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  return (
    <section
      aria-label="The second picture"
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const [dropped] = picturesIn(event.dataTransfer);
        if (dropped) onPicture(dropped);
      }}
      className={cn(
        "flex flex-wrap items-center gap-3 rounded-lg border border-line border-dashed px-3 text-sm",
        picture ? "py-2" : "py-6",
        over && "border-accent bg-accent-soft",
      )}
    >
      <p className="min-w-0 grow break-all">{picture ? picture.name : "Drop the second picture here, paste it, or"}</p>
      <Button size="sm" variant={picture ? "secondary" : "primary"} onClick={() => input.current?.click()}>
        <ImageUp aria-hidden />
        {picture ? "Another second picture" : "Choose the second"}
      </Button>
      <input
        ref={input}
        type="file"
        accept="image/*"
        aria-label="The second picture's file"
        tabIndex={-1}
        className="hidden"
        onChange={(event) => {
          const [chosen] = event.target.files ?? [];
          if (chosen) onPicture(chosen);
          event.target.value = "";
        }}
      />
    </section>
  );
}

interface ComparisonProps {
  first: Compared;
  /** Null until it was looked at. */
  second: Compared | null;
  dictionary: Dictionary;
  /** The place of the second picture. */
  children: ReactNode;
}

/** The comparison itself: two pictures and three lists. */
export function Comparison({ first, second, dictionary, children }: ComparisonProps) {
  const [measure, setMeasure] = useState<Measure>("mean");
  const [held, setHeld] = useState<number | null>(null);
  const [glanced, setGlanced] = useState<number | null>(null);
  const sources = [useObjectUrl(first.picture), useObjectUrl(second?.picture ?? null)];
  const firings = useMemo(() => [decodeAnalysis(first.analysis), second ? decodeAnalysis(second.analysis) : []] as const, [first, second]);
  const groups = useMemo(() => compareFirings(firings[0], firings[1], measure), [firings, measure]);
  const all = useMemo(() => [...groups.onlyFirst, ...groups.both, ...groups.onlySecond, ...groups.everywhere], [groups]);
  const shown = all.find(({ index }) => index === (glanced ?? held)) ?? null;
  const max = shown ? Math.max(...[shown.first, shown.second].map((firing) => (firing ? firingScale(firing) : 0))) : 1;
  const most = Math.max(1e-9, ...all.filter(({ alwaysOn }) => !alwaysOn).map(({ difference }) => Math.abs(difference)));
  const largest = Math.max(...all.flatMap(({ values }) => values), 0);
  const decimals = largest >= 100 ? 1 : 2;
  const hrefOf = useCallback((index: number) => routes.feature(dictionary.ref, index), [dictionary.ref]);
  const release = () => (held === null ? false : setHeld(null));
  useKeys({ Escape: release });
  const list = { most, decimals, numLatents: dictionary.numLatents, hrefOf, held, onHold: setHeld, onLook: setGlanced };
  const cut = [first.analysis, second?.analysis].some((analysis) => analysis && analysis.total > analysis.features.length);

  return (
    <div className="flex flex-col gap-5">
      <div className="z-10 bg-surface py-2 [@media(min-height:40rem)]:sticky [@media(min-height:40rem)]:top-14">
        <div className="mx-auto grid max-w-4xl grid-cols-2 gap-3 sm:gap-6">
          {([first, second] as const).map((one, i) => (
            <figure key={i === 0 ? "first" : "second"} className="min-w-0">
              {one && sources[i] ? (
                <>
                  <HeatmapCanvas
                    src={sources[i]}
                    alt={`${i === 0 ? "First" : "Second"} picture, ${one.picture.name}`}
                    map={heatOf(shown, i, one.analysis)}
                    rows={one.analysis.rows}
                    cols={one.analysis.cols}
                    max={max}
                    size={420}
                    loading="eager"
                    immediate
                    className="mx-auto w-[min(100%,40dvh)]"
                  />
                  <figcaption className="num mx-auto mt-1 w-[min(100%,40dvh)] truncate text-muted text-sm" title={one.picture.name}>
                    {i === 0 ? "First" : "Second"} · {formatNoun(one.analysis.total, "feature")}
                  </figcaption>
                </>
              ) : (
                i === 1 && <div className="mx-auto flex w-[min(100%,40dvh)] flex-col gap-3">{children}</div>
              )}
            </figure>
          ))}
          <div className="col-span-2 min-h-12 text-sm">
            {shown ? (
              <div className="mx-auto max-w-96">
                <p dir="auto" className="truncate text-center font-medium">
                  {nameOf(shown)}
                </p>
                <ColorScale
                  max={max}
                  value={Math.max(shown.first?.peak ?? 0, shown.second?.peak ?? 0)}
                  label="activation (peak)"
                  className="min-w-0"
                />
              </div>
            ) : (
              second && <p className="text-center text-muted">Look at a feature to see where it fires on both; press it to hold it.</p>
            )}
          </div>
        </div>
      </div>
      {second && (
        <>
          {children}
          <div className="flex flex-wrap items-center gap-x-3 gap-y-2 text-sm">
            <Segmented<Measure>
              label="What is compared"
              value={measure}
              onChange={setMeasure}
              options={measures.map((value) => ({ value, name: measureNames[value] }))}
            />
            <p className="min-w-0 grow basis-64 text-muted">
              {measureWords[measure]} Raw activation.{cut && ` Of each picture the strongest ${limits.analysed} are compared.`}
            </p>
          </div>
          <div className="grid gap-x-8 gap-y-6 lg:grid-cols-3">
            <DifferenceList title="Only on the first" items={groups.onlyFirst} {...list} />
            <DifferenceList title="On both" items={groups.both} {...list} />
            <DifferenceList title="Only on the second" items={groups.onlySecond} {...list} />
          </div>
          {groups.everywhere.length > 0 && (
            <details>
              <summary className="w-fit cursor-pointer rounded-sm py-1 font-semibold text-sm">
                Always on <span className="num font-normal text-muted">{groups.everywhere.length}</span>
              </summary>
              <DifferenceList title="On both, and nearly everywhere" items={groups.everywhere} {...list} />
            </details>
          )}
        </>
      )}
    </div>
  );
}

const nameOf = (difference: Difference) => (difference.first ?? difference.second)?.label ?? `Feature #${difference.index}`;

function heatOf(shown: Difference | null, picture: number, { rows, cols }: Analysis): Float32Array {
  const firing: Firing | null = (picture === 0 ? shown?.first : shown?.second) ?? null;
  return firing?.dense ?? new Float32Array(rows * cols);
}
