import { dehydrate, HydrationBoundary } from "@tanstack/react-query";
import { FlaskConicalOff } from "lucide-react";
import type { Metadata } from "next";
import { makeQueryClient } from "@/components/shell/query-client";
import { readEntry, type SteerParams } from "@/components/steer/entry";
import { Sandbox } from "@/components/steer/sandbox";
import { featureQueryOptions } from "@/lib/api/feature";
import { imageInfoQueryOptions } from "@/lib/api/images";
import { getDatabase } from "@/lib/catalog/db";
import { listDictionaries } from "@/lib/catalog/dictionaries";
import { findFeature } from "@/lib/catalog/feature-detail";
import { findImageInfo } from "@/lib/catalog/images";
import { env } from "@/lib/env";
import { MissingPage, missingHere } from "../missing-page";
import { NoDictionary } from "../no-dictionary";
import { inCatalogue } from "./entry";

export const metadata: Metadata = {
  title: "Steer",
  description: "Hold features of a multimodal model at a strength of your choice and read how its answer changes.",
};

/** Features of a shared request that are looked up before the first paint; the rest follow in the browser. */
const prefetched = 6;

export default async function SteerPage({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  const given = await searchParams;
  const params: SteerParams = Object.fromEntries(
    ["r", "dictionary", "feature", "image"].flatMap((key) => (typeof given[key] === "string" ? [[key, given[key]]] : [])),
  );
  const db = await getDatabase();
  const [first, ...others] = await listDictionaries(db);
  if (!first) {
    return <NoDictionary icon={<FlaskConicalOff />}>There is no dictionary to steer with</NoDictionary>;
  }
  const dictionaries: [typeof first, ...typeof others] = [first, ...others];
  const entry = await readEntry(inCatalogue(db), dictionaries, params);
  const client = makeQueryClient();
  const { dictionary, clamps, messages } = entry.link;
  // A request may name what this catalogue lacks: the page says so where it is shown.
  await Promise.allSettled([
    ...clamps.slice(0, prefetched).map(async ({ feature }) => {
      client.setQueryData(featureQueryOptions(dictionary, feature).queryKey, await findFeature(db, dictionary, feature));
    }),
    ...messages.flatMap(({ content }) =>
      content.map(async (part) => {
        if (part.type !== "image" || part.image.upload) return;
        client.setQueryData(imageInfoQueryOptions(part.image.sha256).queryKey, await findImageInfo(db, part.image.sha256));
      }),
    ),
  ]);
  return (
    <HydrationBoundary state={dehydrate(client)}>
      <Sandbox
        key={params.r === undefined ? JSON.stringify(params) : "link"}
        initial={entry.link}
        fresh={entry.fresh}
        mayResume={entry.mayResume}
        notice={entry.notice}
        dictionaries={dictionaries}
        savingOff={env.saves.perClient === 0 || env.saves.perHour === 0}
      />
    </HydrationBoundary>
  );
}
