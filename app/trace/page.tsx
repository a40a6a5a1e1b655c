import { dehydrate, HydrationBoundary } from "@tanstack/react-query";
import { MessageCircleQuestion } from "lucide-react";
import type { Metadata } from "next";
import { makeQueryClient } from "@/components/shell/query-client";
import { readEntry, type SteerParams } from "@/components/steer/entry";
import { TraceView } from "@/components/trace/trace-view";
import { imageInfoQueryOptions } from "@/lib/api/images";
import { getDatabase } from "@/lib/catalog/db";
import { listDictionaries } from "@/lib/catalog/dictionaries";
import { findImageInfo } from "@/lib/catalog/images";
import { readTraceView } from "@/lib/core/trace-link";
import { env } from "@/lib/env";
import { MissingPage, missingHere } from "../missing-page";
import { NoDictionary } from "../no-dictionary";
import { inCatalogue } from "../steer/entry";

export const metadata: Metadata = {
  title: "Trace",
  description: "From a word of a multimodal model's answer back to the features that made the model say it.",
};

export default async function TracePage({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  const given = await searchParams;
  const one = (key: string) => (typeof given[key] === "string" ? given[key] : undefined);
  const params: SteerParams = Object.fromEntries(
    ["r", "dictionary", "image"].flatMap((key) => {
      const text = one(key);
      return text === undefined ? [] : [[key, text]];
    }),
  );
  const db = await getDatabase();
  const [first, ...others] = await listDictionaries(db);
  if (!first) {
    return <NoDictionary icon={<MessageCircleQuestion />}>There is no dictionary to trace with</NoDictionary>;
  }
  const dictionaries: [typeof first, ...typeof others] = [first, ...others];
  const entry = await readEntry(inCatalogue(db), dictionaries, params);
  const client = makeQueryClient();
  // A request may name a picture that this catalogue lacks: the page says so where it is shown.
  await Promise.allSettled(
    entry.link.messages.flatMap(({ content }) =>
      content.map(async (part) => {
        if (part.type !== "image" || part.image.upload) return;
        client.setQueryData(imageInfoQueryOptions(part.image.sha256).queryKey, await findImageInfo(db, part.image.sha256));
      }),
    ),
  );
  return (
    <HydrationBoundary state={dehydrate(client)}>
      <TraceView
        key={params.r === undefined ? JSON.stringify(params) : "link"}
        initial={entry.link}
        initialView={readTraceView(one)}
        notice={entry.notice}
        dictionaries={dictionaries}
        savingOff={env.saves.perClient === 0 || env.saves.perHour === 0}
      />
    </HydrationBoundary>
  );
}
