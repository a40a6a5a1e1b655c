"use client";
import { useQuery } from "@tanstack/react-query";
import { histogramsQueryOptions } from "@/lib/api/histograms";
import type { Histograms, MetricKey } from "@/lib/core/records";
import { metricKeys } from "@/lib/core/records";

/** Not shown until it is known that they were measured: scores that this project's own pipeline does not make. */
const foreign: readonly MetricKey[] = ["clip", "consistency", "detection", "fuzzing"];
const usual = metricKeys.filter((key) => !foreign.includes(key));

/** Metrics that at least one feature has. */
export function measuredIn(histograms: Histograms): MetricKey[] {
  return metricKeys.filter((key) => histograms.metrics[key]?.counts.some((count) => count > 0));
}

/** What can be sorted by in this dictionary. Reads what the filters read. */
export function useMeasured(dictionary: string): readonly MetricKey[] {
  const { data } = useQuery(histogramsQueryOptions(dictionary));
  return data ? measuredIn(data) : usual;
}
