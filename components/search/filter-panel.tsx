"use client";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { HistogramBrush } from "@/components/charts/histogram-brush";
import { Button } from "@/components/ui/button";
import { Chip } from "@/components/ui/chip";
import { ErrorState } from "@/components/ui/error-state";
import { Segmented } from "@/components/ui/segmented";
import { Skeleton } from "@/components/ui/skeleton";
import { Term } from "@/components/ui/term";
import { histogramsQueryOptions } from "@/lib/api/histograms";
import type { FeatureQuery } from "@/lib/core/feature-query";
import { formatCount } from "@/lib/core/format";
import { conceptClasses, type FlagKey, type Histograms, type MetricKey, scoreKeys } from "@/lib/core/records";
import { measuredIn } from "@/lib/core/usual-sort";
import { ConceptGlyph } from "./concept";
import { conceptExplanations, flagNames, inSentence, metrics } from "./metrics";

interface FilterPanelProps {
  query: FeatureQuery;
  setQuery: (change: Partial<FeatureQuery>) => void;
}

const first: readonly MetricKey[] = [...scoreKeys, "density", "image_share"];
const more: readonly MetricKey[] = ["max_activation", "mean_activation", "text_density", "images"];
const flagOrder: readonly FlagKey[] = ["explained", "always_on", "sink", "dead"];

/** What narrows a list down: concept classes with their counts, a histogram to brush for each metric, and flags. */
export function FilterPanel({ query, setQuery }: FilterPanelProps) {
  const histograms = useQuery(histogramsQueryOptions(query.dictionary, query.version));
  const [all, setAll] = useState(more.some((key) => query.ranges[key]));
  if (histograms.error) return <ErrorState error={histograms.error} onRetry={() => void histograms.refetch()} />;
  if (!histograms.data) return <FilterSkeleton />;
  const data = histograms.data;
  const present = measuredIn(data);
  // Where nothing of the first is measured, as over texts, the others are not hidden behind a press; where none of them is, there is no press.
  const open = all || !first.some((key) => present.includes(key));
  return (
    <div className="space-y-6">
      <Concepts query={query} setQuery={setQuery} counts={data.concepts} />
      {(open ? [...first, ...more] : first).map((key) => (
        <MetricFilter key={key} metric={key} data={data} query={query} setQuery={setQuery} />
      ))}
      {!open && more.some((key) => present.includes(key)) && (
        <Button variant="ghost" size="sm" className="-ml-3" onClick={() => setAll(true)}>
          More filters
        </Button>
      )}
      <ScoredBy query={query} setQuery={setQuery} data={data} />
      <Flags query={query} setQuery={setQuery} counts={data.flags} />
    </div>
  );
}

function MetricFilter({ metric: key, data, query, setQuery }: FilterPanelProps & { metric: MetricKey; data: Histograms }) {
  const histogram = data.metrics[key];
  const metric = metrics[key];
  // What no feature has cannot be filtered by, unless an address does so already.
  const measured = histogram?.counts.some((count) => count > 0) || query.ranges[key];
  if (!histogram || histogram.edges.length < 3 || !measured) return null;
  return (
    <HistogramBrush
      name={inSentence(metric.name)}
      heading={<Term explain={metric.explain}>{metric.name}</Term>}
      edges={histogram.edges}
      counts={histogram.counts}
      missing={histogram.missing}
      value={query.ranges[key]}
      format={(value) => metric.format(value)}
      onChange={(range) => {
        const { [key]: _, ...rest } = query.ranges;
        setQuery({ ranges: range ? { ...rest, [key]: range } : rest });
      }}
    />
  );
}

function Concepts({ query, setQuery, counts }: FilterPanelProps & { counts: Record<string, number> }) {
  const present = conceptClasses.filter((concept) => (counts[concept] ?? 0) > 0 || query.concepts.includes(concept));
  if (present.length === 0) return null;
  return (
    <section>
      <h3 className="mb-2 text-sm">
        <Term explain="What kind of thing the explanation names. Choose any number.">Concept</Term>
      </h3>
      <div className="flex flex-wrap gap-1.5">
        {present.map((concept) => {
          const pressed = query.concepts.includes(concept);
          return (
            <Chip
              key={concept}
              pressed={pressed}
              icon={<ConceptGlyph concept={concept} />}
              count={formatCount(counts[concept] ?? 0)}
              title={conceptExplanations[concept]}
              onClick={() =>
                setQuery({ concepts: pressed ? query.concepts.filter((other) => other !== concept) : [...query.concepts, concept] })
              }
            >
              {concept}
            </Chip>
          );
        })}
      </div>
    </section>
  );
}

/** Which scores a feature must have, whatever they are: any of the chosen. */
function ScoredBy({ data, query, setQuery }: FilterPanelProps & { data: Histograms }) {
  const count = (key: MetricKey) => data.metrics[key]?.counts.reduce((sum, n) => sum + n, 0) ?? 0;
  const present = scoreKeys.filter((key) => count(key) > 0 || query.scoredBy.includes(key));
  if (present.length === 0) return null;
  return (
    <section>
      <h3 className="mb-2 text-sm">
        <Term explain="By what its explanation was scored. Choose any number; a feature with any of these scores passes.">Scored by</Term>
      </h3>
      <div className="flex flex-wrap gap-1.5">
        {present.map((key) => {
          const pressed = query.scoredBy.includes(key);
          return (
            <Chip
              key={key}
              pressed={pressed}
              count={formatCount(count(key))}
              title={metrics[key].explain}
              onClick={() => setQuery({ scoredBy: pressed ? query.scoredBy.filter((other) => other !== key) : [...query.scoredBy, key] })}
            >
              {metrics[key].name}
            </Chip>
          );
        })}
      </div>
    </section>
  );
}

function Flags({ query, setQuery, counts }: FilterPanelProps & { counts: Record<string, number> }) {
  return (
    <section className="space-y-2">
      {flagOrder.map((key) => {
        const value = query.flags[key];
        return (
          <div key={key} className="flex items-center justify-between gap-2">
            <span className="whitespace-nowrap text-sm">
              <Term explain={flagNames[key].explain}>{flagNames[key].name}</Term>{" "}
              <span className="num text-muted text-xs">{formatCount(counts[key] ?? 0)}</span>
            </span>
            <Segmented
              label={flagNames[key].name}
              value={value === undefined ? "any" : value ? "only" : "none"}
              options={[
                { value: "any", name: "any" },
                { value: "only", name: "only" },
                { value: "none", name: "none" },
              ]}
              onChange={(next) => {
                const { [key]: _, ...rest } = query.flags;
                setQuery({ flags: next === "any" ? rest : { ...rest, [key]: next === "only" } });
              }}
            />
          </div>
        );
      })}
    </section>
  );
}

function FilterSkeleton() {
  return (
    <div className="space-y-6" role="status" aria-label="Loading the filters">
      <Skeleton className="h-24" />
      {first.map((key) => (
        <Skeleton key={key} className="h-24" />
      ))}
    </div>
  );
}
