"use client";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { summarise } from "@/components/feature/facts";
import { FeatureSkeleton } from "@/components/feature/feature-skeleton";
import { FeatureView } from "@/components/feature/feature-view";
import { originQuery } from "@/components/feature/list-origin";
import { useCurrentDictionary } from "@/components/shell/current-dictionary";
import { aroundQueryOptions } from "@/lib/api/around";
import { featureQueryOptions } from "@/lib/api/feature";
import { histogramsQueryOptions } from "@/lib/api/histograms";
import { FacetError } from "@/lib/core/errors";
import { measuredIn, usualSort } from "@/lib/core/usual-sort";
import { Failed, Shown, useTitle } from "./shown";

/** Of a list that is still being looked through. */
const unknown = { previous: null, next: null, total: null };

export function FeaturePage() {
  const { ref } = useCurrentDictionary();
  const search = useSearchParams();
  const index = /^\d{1,9}$/.exec(search.get("index") ?? "")?.[0];
  if (ref === null) return <Failed error={new FacetError("dictionary_not_found", "The address names no dictionary.")} />;
  if (index === undefined) {
    return (
      <Failed
        error={new FacetError("feature_not_found", "The address names no feature.", { fix: "It says index= and the feature's number." })}
      />
    );
  }
  return <One dictionary={ref} index={Number(index)} version={search.get("v") || null} from={search.get("from") || null} />;
}

interface OneProps {
  dictionary: string;
  index: number;
  version: string | null;
  from: string | null;
}

function One({ dictionary, index, version, from }: OneProps) {
  const query = useQuery(featureQueryOptions(dictionary, index, { v: version ?? undefined }));
  const histograms = useQuery(histogramsQueryOptions(dictionary));
  const origin = originQuery(dictionary, from, histograms.data && usualSort(measuredIn(histograms.data)));
  const around = useQuery({ ...aroundQueryOptions(origin, index), enabled: histograms.data !== undefined });
  useTitle(query.data && summarise(query.data).title);
  return (
    <Shown query={query} waiting={<FeatureSkeleton />}>
      {() => <FeatureView dictionary={dictionary} index={index} version={version} origin={origin} around={around.data ?? unknown} />}
    </Shown>
  );
}
