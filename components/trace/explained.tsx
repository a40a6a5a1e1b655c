"use client";
import { useMemo, useState } from "react";
import { queueWords, type RunToken } from "@/components/steer/run-state";
import { Button } from "@/components/ui/button";
import { Chip } from "@/components/ui/chip";
import { ErrorState } from "@/components/ui/error-state";
import { Segmented } from "@/components/ui/segmented";
import { Skeleton } from "@/components/ui/skeleton";
import { Term } from "@/components/ui/term";
import { formatIndex, formatNoun, formatScore } from "@/lib/core/format";
import type { GenerateRequest, Intervention } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { type LeftOutKind, leftOutKinds } from "@/lib/core/trace-link";
import { BarList } from "./bar-list";
import { greatest, rank, sumByPosition, sumsAmong } from "./contributions";
import { ExportMenu } from "./export-menu";
import { decimalsFor } from "./format";
import { MendPanel } from "./mend-panel";
import { RowDetail } from "./row-detail";
import { type TotalLine, Totals } from "./totals";
import { TraceGraph } from "./trace-graph";
import { attributionRequest, type Trace, useAttribution } from "./use-attribution";
import type { TraceState } from "./use-trace";
import { type TracePicture, WherePanel } from "./where-panel";

interface ExplainedProps {
  trace: TraceState;
  dictionary: Dictionary;
  tokens: readonly RunToken[];
  /** Of the explained token. */
  place: number;
  /** The whole answer. */
  answer: string;
  nearly: string[];
  request: (over?: Partial<GenerateRequest>) => GenerateRequest;
  steerHref: (clamps: Intervention[]) => string;
  uploads: () => string[];
  savingOff: boolean;
}

const kindWords: Record<LeftOutKind, { name: string; explain: string }> = {
  always_on: { name: "always on", explain: "Active nearly everywhere, on whatever picture: they carry no news of this one." },
  sink: { name: "sinks", explain: "Active most on a position that gathers attention and says little." },
  positional: { name: "positional", explain: "Active by where a cell is, whatever lies in it." },
};

/** Why a token was said: the features that contributed, where they were seen, and what changes without them. */
export function Explained(props: ExplainedProps) {
  const { trace, tokens, place } = props;
  const { view, request } = trace;
  const asked = useMemo(() => attributionRequest(request(), tokens, place, view.metric), [request, tokens, place, view.metric]);
  const attribution = useAttribution(asked);
  const { status, found, error, position, retry } = attribution;
  if (error && !found) {
    return <ErrorState error={error} onRetry={retry} className="py-8" />;
  }
  if (!found) {
    return (
      <div aria-busy="true" className="grid gap-6 lg:grid-cols-[minmax(0,1fr)_20rem]">
        <p className="text-muted text-sm lg:col-span-2" role="status">
          {status === "queued" ? queueWords(position) : "Tracing the answer back…"}
        </p>
        <div className="flex flex-col gap-2">
          {Array.from({ length: 8 }, (_, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: blocks without identity
            <Skeleton key={i} className="h-9" />
          ))}
        </div>
        <Skeleton className="aspect-square max-lg:hidden" />
      </div>
    );
  }
  return <Found {...props} found={found} measuring={status === "measuring" ? attribution.toMeasure : 0} error={error} onRetry={retry} />;
}

interface FoundProps extends ExplainedProps {
  found: Trace;
  /** How many of the first are being measured. */
  measuring: number;
  error: ReturnType<typeof useAttribution>["error"];
  onRetry: () => void;
}

function Found({
  trace,
  dictionary,
  place,
  answer,
  nearly,
  tokens,
  request,
  steerHref,
  uploads,
  savingOff,
  found,
  measuring,
  error,
  onRetry,
}: FoundProps) {
  const { view, look, link, state } = trace;
  const [hovered, setHovered] = useState<number | null>(null);
  const { rows, leftOut } = useMemo(() => rank(found.rows, view.where, view.without), [found.rows, view.where, view.without]);
  const decimals = decimalsFor(greatest(rows.map(({ value }) => value)));
  const counts = useMemo(
    () => Object.fromEntries(leftOutKinds.map((kind) => [kind, found.rows.filter(({ kinds }) => kinds.includes(kind)).length])),
    [found.rows],
  );
  // The engine measures the greatest of all, in its order, however the list is filtered.
  const pending = useMemo(
    () => new Set(found.rows.slice(0, measuring).flatMap(({ feature, measured }) => (measured === null ? [feature] : []))),
    [found.rows, measuring],
  );
  const lit = hovered ?? view.feature;
  const litRow = lit === null ? undefined : found.rows.find(({ feature }) => feature === lit);
  /** Nothing is left out for what it is, so that all features can be shown, those too that were not sent one by one. */
  const whole = !litRow && view.without.length === 0;
  const sums = useMemo(() => {
    const { positions } = found;
    const all = whole ? Float32Array.from(found.sums) : sumByPosition(litRow ? [litRow] : rows, positions.length);
    return sumsAmong(all, positions, view.where);
  }, [whole, litRow, rows, found, view.where]);
  const pictures = useMemo(() => picturesOf(trace, dictionary), [trace, dictionary]);
  const token = tokens[place];
  const word = token?.text.trim() || "␣";
  const { agreement } = found;
  const shownSum = rows.reduce((sum, { value }) => sum + value, 0);
  const { totals } = found;
  const elsewhere = totals.features.total - found.rows.reduce((sum, { image, text }) => sum + image + text, 0);
  const filtered = found.rows.reduce((sum, { image, text }) => sum + image + text, 0) - shownSum - leftOut.sum;
  const lines: TotalLine[] = [
    {
      name: `${formatNoun(rows.length, "feature")} in the list`,
      explain: "The sum of the estimates of the list, as it is filtered now.",
      value: shownSum,
    },
    ...(leftOut.count > 0
      ? [
          {
            name: `${formatNoun(leftOut.count, "feature")} left out`,
            explain: "The sum of those that the list leaves out for what they are.",
            value: leftOut.sum,
          },
        ]
      : []),
    ...(view.where === "all"
      ? []
      : [
          {
            name: view.where === "image" ? "from words" : "from the picture",
            explain: "What the same features contribute at the positions that the list does not show.",
            value: filtered,
          },
        ]),
    ...(Math.abs(elsewhere) > 1e-6
      ? [{ name: "smaller features", explain: "Features whose contribution was not sent one by one.", value: elsewhere }]
      : []),
    { name: "error term", explain: "The part of the hidden state that the dictionary does not explain.", value: totals.error.total },
    { name: "bias", explain: "The dictionary's own constant, the same at every position.", value: totals.bias.total },
  ];
  const row = (feature: number) => look({ feature: view.feature === feature ? null : feature });
  return (
    <div className="grid gap-x-8 gap-y-6 lg:grid-cols-[minmax(0,1fr)_20rem]">
      <div className="@container flex min-w-0 flex-col gap-4">
        <div className="flex flex-wrap items-center gap-2">
          <Segmented
            label="View"
            size="md"
            value={view.view}
            onChange={(next) => look({ view: next })}
            options={[
              { value: "bars", name: "Bars" },
              { value: "graph", name: "Graph" },
              { value: "mend", name: "Mend it" },
            ]}
          />
          <Segmented
            label="Contributions from"
            value={view.where}
            onChange={(where) => look({ where })}
            options={[
              { value: "all", name: "All" },
              { value: "image", name: "Picture" },
              { value: "text", name: "Words" },
            ]}
          />
          <Chip pressed={view.grouped} onClick={() => look({ grouped: !view.grouped })}>
            By concept
          </Chip>
          {leftOutKinds.map(
            (kind) =>
              (counts[kind] ?? 0) > 0 && (
                <Chip
                  key={kind}
                  pressed={view.without.includes(kind)}
                  count={String(counts[kind])}
                  title={kindWords[kind].explain}
                  onClick={() =>
                    look({ without: view.without.includes(kind) ? view.without.filter((one) => one !== kind) : [...view.without, kind] })
                  }
                >
                  Without {kindWords[kind].name}
                </Chip>
              ),
          )}
          <span className="ml-auto">
            <ExportMenu found={found} rows={rows} token={word} />
          </span>
        </div>
        <p className="text-muted text-sm" role="status">
          {measuring > 0 && `Measuring: each of the first ${measuring} is removed and the model asked again.`}
          {measuring === 0 && agreement?.rankCorrelation != null && (
            <>
              <Term explain="Removed one by one, how much of the metric each of the first features really takes away, against what the gradient says it should. Rank correlation: 1 the same order, 0 none.">
                Estimate and measurement agree
              </Term>{" "}
              <span className="num">
                {formatScore(agreement.rankCorrelation)} in rank, n = {agreement.n}
              </span>
              .
            </>
          )}
          {view.where !== "all" && " What is measured is the whole feature's, picture and words together."}
          {error && (
            <span className="text-bad">
              {error.message} {error.fix}{" "}
              <Button size="sm" onClick={onRetry}>
                Try again
              </Button>
            </span>
          )}
        </p>
        {view.view === "bars" && (
          <BarList
            rows={rows}
            grouped={view.grouped}
            numLatents={dictionary.numLatents}
            decimals={decimals}
            held={view.feature}
            pending={pending}
            onHold={(feature) => look({ feature })}
            onHover={setHovered}
            detail={(one) => (
              <RowDetail
                row={one}
                decimals={decimals}
                dictionary={dictionary.ref}
                link={link}
                request={request}
                steerHref={steerHref}
                uploads={uploads}
                savingOff={savingOff}
              />
            )}
          />
        )}
        {view.view === "graph" && (
          <TraceGraph
            answer={word}
            rows={rows}
            positions={found.positions}
            pictures={pictures}
            decimals={decimals}
            held={view.feature}
            onHold={(feature) => (feature === null ? look({ feature }) : row(feature))}
          />
        )}
        {/* Kept while one looks at the bars: a search goes on. */}
        <div hidden={view.view !== "mend"}>
          <MendPanel
            dictionary={dictionary.ref}
            version={state.version ?? undefined}
            link={link}
            answer={answer}
            nearly={nearly}
            rows={rows}
            request={request}
            steerHref={steerHref}
            uploads={uploads}
            savingOff={savingOff}
          />
        </div>
      </div>
      <aside className="flex min-w-0 flex-col gap-6 max-lg:order-first max-lg:grid max-lg:gap-4 max-lg:sm:grid-cols-2">
        <WherePanel
          title={
            litRow
              ? `${litRow.label ?? "no explanation"} ${formatIndex(litRow.feature)}`
              : whole
                ? "All features"
                : "All features of the list"
          }
          sums={sums}
          positions={found.positions}
          pictures={pictures}
          alt=""
        />
        <section aria-labelledby="sum-title">
          <h3 id="sum-title" className="mb-1 font-medium text-sm">
            {found.metric.name}
          </h3>
          <Totals
            lines={lines}
            sum={{
              name: "sum",
              explain: "The first-order whole: gradient times hidden state, over all positions.",
              value: totals.whole.total,
            }}
            decimals={decimals}
            note={found.metric.note}
          />
        </section>
      </aside>
    </div>
  );
}

function picturesOf({ state, uploads }: TraceState, dictionary: Dictionary): TracePicture[] {
  const grid = dictionary.model.grid;
  if (!grid) return [];
  return state.turns.flatMap(({ images }) =>
    images.map((image) => ({
      src: image.upload ? (uploads.found[image.sha256]?.dataUrl ?? "") : routes.api.image(image.sha256),
      rows: grid.rows,
      cols: grid.cols,
    })),
  );
}
