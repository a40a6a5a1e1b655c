"use client";
import { type ReactNode, useCallback, useMemo, useState } from "react";
import { ColorScale } from "@/components/heatmap/color-scale";
import { HeatmapCanvas } from "@/components/heatmap/heatmap-canvas";
import { decodeAnalysis, type Firing, firingScale } from "@/components/image/firing";
import { PicturePlace } from "@/components/own-image/picture-place";
import { type Picture, usePicture, usePictureName, usePictureSource } from "@/components/own-image/use-picture";
import { useKeys } from "@/components/shell/use-keys";
import { ErrorState } from "@/components/ui/error-state";
import { Segmented } from "@/components/ui/segmented";
import { formatNoun } from "@/lib/core/format";
import { limits } from "@/lib/core/protocol";
import type { Analysis, Dictionary } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { compareFirings, type Difference, type Measure, measureNames, measures, measureWords } from "./difference";
import { DifferenceList } from "./difference-list";

export interface Compared {
  src: string;
  name: string;
  analysis: Analysis;
}

interface ComparePicturesProps {
  first: Compared;
  second: Picture | null;
  onSecond: (second: Picture) => void;
  measure: Measure;
  onMeasure: (measure: Measure) => void;
  dictionary: Dictionary;
}

/** Two pictures side by side: what fires on both or on one alone, by how much they differ, with heat on both. All of it in this tab. */
export function ComparePictures({ first, second, onSecond, dictionary, ...measure }: ComparePicturesProps) {
  const looked = usePicture(dictionary.ref, second);
  const src = usePictureSource(second);
  const name = usePictureName(second);
  const shown = looked.data && src ? { analysis: looked.data.analysis, src, name: name ?? "" } : null;
  return (
    <Comparison first={first} second={shown} dictionary={dictionary} {...measure}>
      <PicturePlace label="The second picture" picture={second} name={name} onPicture={onSecond} second>
        Drop the second picture here, paste it, or
      </PicturePlace>
      {looked.error && <ErrorState error={looked.error} onRetry={looked.retry} />}
      {looked.waits && (
        <p role="status" className="text-muted text-sm">
          {looked.waits}
        </p>
      )}
    </Comparison>
  );
}

interface ComparisonProps {
  first: Compared;
  /** Null until it was looked at. */
  second: Compared | null;
  measure: Measure;
  onMeasure: (measure: Measure) => void;
  dictionary: Dictionary;
  /** The place of the second picture. */
  children: ReactNode;
}

/** The comparison itself: two pictures and three lists. */
export function Comparison({ first, second, measure, onMeasure, dictionary, children }: ComparisonProps) {
  const [held, setHeld] = useState<number | null>(null);
  const [glanced, setGlanced] = useState<number | null>(null);
  const [one, two] = [first.analysis, second?.analysis ?? null];
  const firings = useMemo(() => [decodeAnalysis(one), two ? decodeAnalysis(two) : []] as const, [one, two]);
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
  const cut = [one, two].some((analysis) => analysis && analysis.total > analysis.features.length);

  return (
    <div className="flex flex-col gap-5">
      <div className="z-10 bg-surface py-2 [@media(min-height:40rem)]:sticky [@media(min-height:40rem)]:top-14">
        <div className="mx-auto grid max-w-4xl grid-cols-2 gap-3 sm:gap-6">
          {([first, second] as const).map((one, i) => (
            <figure key={i === 0 ? "first" : "second"} className="min-w-0">
              {one ? (
                <>
                  <HeatmapCanvas
                    src={one.src}
                    alt={`${i === 0 ? "First" : "Second"} picture, ${one.name}`}
                    map={heatOf(shown, i, one.analysis)}
                    rows={one.analysis.rows}
                    cols={one.analysis.cols}
                    max={max}
                    size={420}
                    loading="eager"
                    immediate
                    className="mx-auto w-[min(100%,40dvh)]"
                  />
                  <figcaption className="num mx-auto mt-1 w-[min(100%,40dvh)] truncate text-muted text-sm" title={one.name}>
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
              onChange={onMeasure}
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
