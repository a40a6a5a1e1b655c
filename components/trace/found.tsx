"use client";
import { useEffect, useMemo, useState } from "react";
import { Button } from "@/components/ui/button";
import { Term } from "@/components/ui/term";
import { formatIndex, formatNoun, formatScore } from "@/lib/core/format";
import type { Dictionary } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { BarList } from "./bar-list";
import { greatest, rank, sumByPosition, sumsAmong } from "./contributions";
import { ControlNote } from "./control-note";
import type { ExplainedProps } from "./explained";
import { ExportMenu } from "./export-menu";
import { decimalsFor } from "./format";
import { MendPanel } from "./mend-panel";
import { MethodChoice } from "./method-choice";
import { RowDetail } from "./row-detail";
import { totalLines } from "./total-lines";
import { Totals } from "./totals";
import { TraceControls } from "./trace-controls";
import { TraceGraph } from "./trace-graph";
import { measured, type Trace, type useAttribution } from "./use-attribution";
import type { TraceState } from "./use-trace";
import { type TracePicture, WherePanel } from "./where-panel";

type Attribution = ReturnType<typeof useAttribution>;

interface FoundProps extends ExplainedProps {
  found: Trace;
  attribution: Attribution;
}

/** Filters may be tried one after another: what they bring up is measured once they rest, in milliseconds. */
const restMs = 500;

/** The features of a trace, where they were seen, and what can be done with them. */
export function Found({ trace, mend, dictionary, place, answer, nearly, tokens, found, attribution }: FoundProps) {
  const { view, look, type } = trace;
  const { status, toMeasure, more, measureAlso } = attribution;
  const [hovered, setHovered] = useState<number | null>(null);
  const ranking = useMemo(() => rank(found.rows, view.where, view.without), [found.rows, view.where, view.without]);
  const { rows } = ranking;
  const decimals = decimalsFor(greatest(rows.map(({ value }) => value)));
  /** The engine measures the greatest of all first, in its order, however the list is filtered. */
  const pending = useMemo(() => {
    const first = status === "measuring" ? found.rows.slice(0, toMeasure || measured) : [];
    return new Set([...first.flatMap(({ feature, measured }) => (measured === null ? [feature] : [])), ...more]);
  }, [found.rows, status, toMeasure, more]);
  // A filter brings others to the top; those and the one that is held are measured too.
  const lacking = useMemo(
    () =>
      rows.flatMap(({ feature, measured: effect }, i) => (effect === null && (i < measured || feature === view.feature) ? [feature] : [])),
    [rows, view.feature],
  );
  const idle = status === "done" && more.length === 0;
  useEffect(() => {
    if (!idle || lacking.length === 0) return;
    const timer = setTimeout(() => void measureAlso(lacking), restMs);
    return () => clearTimeout(timer);
  }, [idle, lacking, measureAlso]);

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
  const word = tokens[place]?.text.trim() || "␣";
  const seen = { sums, positions: found.positions, pictures, chosen: view.picture, onChoose: (picture: number) => look({ picture }) };
  return (
    <div className="grid gap-x-8 gap-y-6 lg:grid-cols-[minmax(0,1fr)_20rem]">
      <div className="@container order-2 flex min-w-0 flex-col gap-3 lg:order-1">
        <TraceControls view={view} rows={found.rows} onLook={look} />
        <div className="flex items-start justify-between gap-3">
          <Status attribution={attribution} found={found} part={view.where !== "all"} pending={pending.size} />
          <ExportMenu found={found} rows={rows} token={word} />
        </div>
        {view.view === "bars" && (
          <BarList
            rows={rows}
            grouped={view.grouped}
            numLatents={dictionary.numLatents}
            decimals={decimals}
            part={view.where !== "all"}
            held={view.feature}
            pending={pending}
            onHold={(feature) => look({ feature })}
            onHover={setHovered}
            detail={(one) => (
              <RowDetail row={one} control={view.control} decimals={decimals} where={<WherePanel {...seen} title={null} />} />
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
            onHold={(feature) => look({ feature })}
          />
        )}
        {view.view === "mend" && view.control && <ControlNote control={view.control} />}
        {view.view === "mend" && !view.control && (
          <MendPanel mend={mend} right={view.right} asks={view.asks} onType={type} answer={answer} nearly={nearly} rows={rows} />
        )}
      </div>
      {/* Beside the list it stays in sight; in a narrow window the picture comes before the list and the sums after it. */}
      <aside className="contents lg:sticky lg:top-16 lg:order-2 lg:flex lg:max-h-[calc(100dvh-4.5rem)] lg:min-w-0 lg:flex-col lg:gap-6 lg:self-start lg:overflow-y-auto lg:pb-2">
        <div className="order-1 min-w-0">
          <WherePanel
            {...seen}
            title={
              litRow
                ? `${litRow.label ?? "no explanation"} ${formatIndex(litRow.feature, dictionary.numLatents)}`
                : whole
                  ? "All features"
                  : "All features of the list"
            }
          />
        </div>
        <section aria-labelledby="sum-title" className="order-3 flex min-w-0 flex-col gap-3">
          <div>
            <h3 id="sum-title" className="mb-1 font-medium text-sm">
              {found.metric.name}
            </h3>
            <Totals
              lines={totalLines(found, ranking, view.where)}
              sum={{
                name: "sum",
                explain:
                  view.steps === null
                    ? "The first-order whole: gradient times hidden state, over all positions."
                    : "Mean gradient times hidden state, over all positions.",
                value: found.totals.whole.total,
              }}
              decimals={decimals}
              note={found.metric.note}
            />
          </div>
          <MethodChoice steps={view.steps} onChoose={(steps) => look({ steps })} />
        </section>
      </aside>
    </div>
  );
}

interface StatusProps {
  attribution: Attribution;
  found: Trace;
  /** The list shows part of each feature's contribution. */
  part: boolean;
  /** How many measurements are still to come. */
  pending: number;
}

/** What is being measured, how well estimates agree with it, and what went wrong. */
function Status({ attribution: { status, more, error, retry }, found: { agreement }, part, pending }: StatusProps) {
  const measuring = status === "measuring" || more.length > 0;
  return (
    <p className="min-w-0 pt-1.5 text-muted text-sm" role="status">
      {status === "measuring" && `Measuring: each of the first ${measured} is removed and the model asked again.`}
      {status !== "measuring" &&
        more.length > 0 &&
        `Measuring ${formatNoun(pending, "more feature")}: each is removed and the model asked again.`}
      {!measuring && agreement?.rankCorrelation != null && (
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
      {part && " Estimates are of the shown positions; what is measured is the whole feature, picture and words together."}
      {error && (
        <span className="text-bad">
          {error.message} {error.fix}{" "}
          <Button size="sm" onClick={retry}>
            Try again
          </Button>
        </span>
      )}
    </p>
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
