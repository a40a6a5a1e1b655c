import { dehydrate, HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { cache } from "react";
import { summarise } from "@/components/feature/facts";
import { FeatureView } from "@/components/feature/feature-view";
import { originQuery } from "@/components/feature/list-origin";
import { makeQueryClient } from "@/components/shell/query-client";
import { ErrorState } from "@/components/ui/error-state";
import { ReloadButton } from "@/components/ui/reload-button";
import { featureQueryOptions } from "@/lib/api/feature";
import { getDatabase } from "@/lib/catalog/db";
import { findFeature } from "@/lib/catalog/feature-detail";
import { cardSize } from "@/lib/core/card";
import { asFacetError, type FacetError } from "@/lib/core/errors";
import type { FeatureDetail } from "@/lib/core/records";
import { refOf, routes } from "@/lib/core/routes";
import { featuresAround } from "@/lib/search/features-around";
import { MissingPage, missingHere, missingTitle } from "../../../../missing-page";
import { requestOrigin } from "../../../../request-origin";
import { usualSortOf } from "../../../../usual-sort-of";

interface PageProps {
  params: Promise<{ model: string; dictionary: string; index: string }>;
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}

interface Asked {
  ref: string;
  index: number;
  version: string | null;
  from: string | null;
}

const single = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value) || null;

async function asked({ params, searchParams }: PageProps): Promise<Asked> {
  const { index, ...named } = await params;
  const search = await searchParams;
  if (!/^\d{1,9}$/.test(index)) notFound();
  return { ref: refOf(named), index: Number(index), version: single(search.v), from: single(search.from) };
}

/** Read once for the page and its metadata. */
const load = cache(
  async (ref: string, index: number, version: string | null): Promise<{ detail: FeatureDetail } | { problem: FacetError }> => {
    try {
      return { detail: await findFeature(await getDatabase(), ref, index, version ?? undefined) };
    } catch (error) {
      return { problem: asFacetError(error) };
    }
  },
);

export async function generateMetadata(props: PageProps): Promise<Metadata> {
  const missing = await missingHere();
  if (missing) return { title: missingTitle(missing) };
  const { ref, index, version } = await asked(props);
  const loaded = await load(ref, index, version);
  if ("problem" in loaded) return { title: `#${index}` };
  const { title, description } = summarise(loaded.detail);
  const images = [{ url: routes.api.featureCard(ref, index), ...cardSize, type: "image/png", alt: title }];
  return {
    metadataBase: await requestOrigin(),
    title,
    description,
    alternates: { canonical: routes.feature(ref, index) },
    openGraph: { title, description, type: "article", images },
    twitter: { card: "summary_large_image", title, description, images },
  };
}

export default async function FeaturePage(props: PageProps) {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  const { ref, index, version, from } = await asked(props);
  const loaded = await load(ref, index, version);
  if ("problem" in loaded) {
    const { problem } = loaded;
    if (problem.status === 404) notFound();
    if (problem.code === "internal") throw problem;
    return <ErrorState page error={problem.toJSON()} action={<ReloadButton />} />;
  }
  const client = makeQueryClient();
  client.setQueryData(featureQueryOptions(ref, index, { v: version ?? undefined }).queryKey, loaded.detail);
  const database = await getDatabase();
  const { dictionary } = loaded.detail;
  // Of an older version the features around are those of its own list.
  const older = dictionary.version === dictionary.versions[0] ? undefined : dictionary.version.slice(0, 12);
  const origin = { ...originQuery(ref, from, await usualSortOf(database, ref, older)), version: older };
  const around = await featuresAround(database, origin, index);
  return (
    <HydrationBoundary state={dehydrate(client)}>
      <FeatureView dictionary={ref} index={index} version={version} origin={origin} around={around} />
    </HydrationBoundary>
  );
}
