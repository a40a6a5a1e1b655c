import { dehydrate, HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { cache } from "react";
import { imageDictionary } from "@/components/image/image-dictionary";
import { ImageView } from "@/components/image/image-view";
import { makeQueryClient } from "@/components/shell/query-client";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { LinkButton } from "@/components/ui/link-button";
import { ReloadButton } from "@/components/ui/reload-button";
import { analyseQueryOptions } from "@/lib/api/analyse";
import { getDatabase } from "@/lib/catalog/db";
import { listDictionaries } from "@/lib/catalog/dictionaries";
import { findImageInfo } from "@/lib/catalog/images";
import { asFacetError, type FacetError } from "@/lib/core/errors";
import { inPrint } from "@/lib/core/format";
import { sha256Schema } from "@/lib/core/protocol";
import type { ImageInfo } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { MissingPage, missingHere, missingTitle } from "../../missing-page";
import { requestOrigin } from "../../request-origin";
import { firstAnalysis } from "./first-analysis";

interface PageProps {
  params: Promise<{ sha256: string }>;
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}

const single = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value) || null;

/** Read once for the page and its metadata. */
const load = cache(async (sha256: string): Promise<{ info: ImageInfo } | { problem: FacetError }> => {
  if (!sha256Schema.safeParse(sha256).success) notFound();
  try {
    return { info: await findImageInfo(await getDatabase(), sha256) };
  } catch (error) {
    return { problem: asFacetError(error) };
  }
});

export async function generateMetadata({ params }: PageProps): Promise<Metadata> {
  const missing = await missingHere();
  if (missing) return { title: missingTitle(missing) };
  const { sha256 } = await params;
  const loaded = await load(sha256);
  if ("problem" in loaded) return { title: "Picture" };
  const title = inPrint(loaded.info.caption) ?? `Picture ${sha256.slice(0, 12)}`;
  const description = "One picture and every feature that fires on it, cell by cell.";
  return {
    metadataBase: await requestOrigin(),
    title,
    description,
    openGraph: { title, description, images: [routes.api.image(sha256)] },
    twitter: { card: "summary", title, description },
  };
}

export default async function ImagePage({ params, searchParams }: PageProps) {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  const { sha256 } = await params;
  const asked = single((await searchParams).dictionary);
  const loaded = await load(sha256);
  if ("problem" in loaded) {
    if (loaded.problem.status === 404) notFound();
    if (loaded.problem.code === "internal") throw loaded.problem;
    return <ErrorState page error={loaded.problem.toJSON()} action={<ReloadButton />} />;
  }
  const dictionaries = await listDictionaries(await getDatabase());
  const chosen = asked
    ? dictionaries.find((one) => one.ref === asked)
    : (dictionaries.find((one) => one.engine === "ready") ?? dictionaries[0]);
  if (!chosen) {
    return (
      <EmptyState page title="No dictionary is imported yet." action={<LinkButton href={routes.home()}>Go home</LinkButton>}>
        The picture itself is in the catalogue; what fires on it depends on the dictionary.
      </EmptyState>
    );
  }
  const client = makeQueryClient();
  const { analysis, stored } = await firstAnalysis(await getDatabase(), chosen.ref, sha256);
  if (analysis) client.setQueryData(analyseQueryOptions({ dictionary: chosen.ref, image: { sha256 } }).queryKey, analysis);
  return (
    <HydrationBoundary state={dehydrate(client)}>
      <ImageView
        key={`${sha256}/${chosen.ref}`}
        info={loaded.info}
        stored={stored}
        dictionary={imageDictionary(chosen)}
        dictionaries={dictionaries.filter((one) => one.model.id === chosen.model.id).map(imageDictionary)}
      />
    </HydrationBoundary>
  );
}
