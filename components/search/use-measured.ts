"use client";
import { useQuery } from "@tanstack/react-query";
import { histogramsQueryOptions } from "@/lib/api/histograms";
import type { MetricKey } from "@/lib/core/records";
import { metricKeys } from "@/lib/core/records";
import { measuredIn } from "@/lib/core/usual-sort";

/** Not shown until it is known that they were measured: scores that this project's own pipeline does not make. */
const foreign: readonly MetricKey[] = ["clip", "consistency", "detection", "fuzzing"];
const usual = metricKeys.filter((key) => !foreign.includes(key));

/** What can be sorted by in this dictionary. Reads what the filters read. */
export function useMeasured(dictionary: string, version?: string): readonly MetricKey[] {
  const { data } = useQuery(histogramsQueryOptions(dictionary, version));
  return data ? measuredIn(data) : usual;
}
