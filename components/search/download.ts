"use client";
import { type FeatureQuery, featureQueryParams } from "@/lib/core/feature-query";
import { routes } from "@/lib/core/routes";

/** Has the browser fetch the whole list, as filtered and sorted, as a file. */
export function downloadList(query: FeatureQuery): void {
  const { limit, cursor, ...params } = featureQueryParams(query);
  const link = document.createElement("a");
  link.href = routes.api.featuresCsv(params);
  link.download = "";
  link.click();
}
