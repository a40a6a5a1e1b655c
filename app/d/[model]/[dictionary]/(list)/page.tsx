import { dehydrate, HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { cookies } from "next/headers";
import { notFound } from "next/navigation";
import { DictionaryView } from "@/components/search/dictionary-view";
import { parseListUrl } from "@/components/search/list-url";
import { readPreferences } from "@/components/search/preference-keys";
import { makeQueryClient } from "@/components/shell/query-client";
import { ErrorState } from "@/components/ui/error-state";
import { LinkButton } from "@/components/ui/link-button";
import { featuresInfiniteOptions } from "@/lib/api/features";
import { histogramsQueryOptions } from "@/lib/api/histograms";
import { getDatabase } from "@/lib/catalog/db";
import { locateDictionary } from "@/lib/catalog/dictionaries";
import { featureHistograms } from "@/lib/catalog/histograms";
import { isIllustrated } from "@/lib/catalog/illustrated";
import { asFacetError } from "@/lib/core/errors";
import { refOf, routes } from "@/lib/core/routes";
import { measuredIn, usualSort } from "@/lib/core/usual-sort";
import { listFeatures } from "@/lib/search/list-features";
import { MissingPage, missingHere, missingTitle } from "../../../../missing-page";

interface PageProps {
  params: Promise<{ model: string; dictionary: string }>;
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}

export async function generateMetadata({ params }: PageProps): Promise<Metadata> {
  const missing = await missingHere();
  return { title: missing ? missingTitle(missing) : refOf(await params) };
}

export default async function DictionaryPage({ params, searchParams }: PageProps) {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  const ref = refOf(await params);
  const client = makeQueryClient();
  // What the proxy saw coming is not met here; the rest came between.
  try {
    const database = await getDatabase();
    const search = await searchParams;
    const { version } = parseListUrl(ref, search).query;
    const { id, dictionary: found } = await locateDictionary(database, ref, version);
    const { examples: _, ...dictionary } = found;
    const histograms = await featureHistograms(database, ref, version);
    client.setQueryData(histogramsQueryOptions(ref, version).queryKey, histograms);
    const { query } = parseListUrl(ref, search, usualSort(measuredIn(histograms)));
    const options = featuresInfiniteOptions(query);
    await client.prefetchInfiniteQuery({
      queryKey: options.queryKey,
      queryFn: ({ pageParam }) => listFeatures(database, { ...query, cursor: pageParam }),
      initialPageParam: query.cursor,
    });
    const jar = await cookies();
    return (
      <HydrationBoundary state={dehydrate(client)}>
        <DictionaryView
          dictionary={dictionary}
          illustrated={await isIllustrated(database, id)}
          initial={readPreferences((name) => jar.get(name)?.value)}
        />
      </HydrationBoundary>
    );
  } catch (thrown) {
    const error = asFacetError(thrown);
    if (error.code === "dictionary_not_found") notFound();
    if (error.code === "internal") throw thrown;
    return <ErrorState page error={error.toJSON()} action={<LinkButton href={routes.dictionary(ref)}>Open the whole list</LinkButton>} />;
  }
}
