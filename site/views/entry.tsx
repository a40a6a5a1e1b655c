"use client";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { type ReactNode, useRef } from "react";
import { type Entry, type EntrySource, readEntry, type SteerParams } from "@/components/steer/entry";
import { dictionariesQueryOptions } from "@/lib/api/dictionaries";
import { featureQueryOptions } from "@/lib/api/feature";
import { fetchImages, imageInfoQueryOptions } from "@/lib/api/images";
import { FacetError } from "@/lib/core/errors";
import type { Dictionary } from "@/lib/core/records";
import { linkInHash } from "@/lib/core/steer-link";
import { Shown } from "./shown";

export interface Begun {
  entry: Entry;
  dictionaries: Dictionary[];
  /** Another one, where the address asks for another request than the page began with. */
  key: string;
}

interface EntryPageProps {
  /** The keys of the address that begin a request. */
  keys: readonly (keyof SteerParams)[];
  waiting: ReactNode;
  children: (begun: Begun) => ReactNode;
}

/** A page that begins with what its address asks for, as the server's pages do. */
export function EntryPage({ keys, waiting, children }: EntryPageProps) {
  const client = useQueryClient();
  const search = useSearchParams();
  const params: SteerParams = Object.fromEntries(
    keys.flatMap((key) => {
      const value = search.get(key);
      return value ? [[key, value]] : [];
    }),
  );
  // What the page itself writes into its address begins nothing anew.
  const asked = params.feature || params.image || params.r !== undefined ? JSON.stringify(params) : "";
  const begun = useRef({ asked, params });
  if (asked !== "" && asked !== begun.current.asked) begun.current = { asked, params };
  const { params: first } = begun.current;
  const query = useQuery({
    queryKey: ["entry", first],
    queryFn: async (): Promise<Begun> => {
      const [one, ...others] = await client.ensureQueryData(dictionariesQueryOptions());
      if (!one) throw new FacetError("dictionary_not_found", "This copy has no dictionary.");
      const source: EntrySource = {
        firstImage: async () => (await fetchImages({ limit: 1 })).items[0]?.sha256 ?? null,
        image: (sha256) => client.ensureQueryData(imageInfoQueryOptions(sha256)),
        feature: async (ref, index) => (await client.ensureQueryData(featureQueryOptions(ref, index))).feature,
      };
      // The copy's own links have the request behind the `#`. Read here, since a link's address is in the bar only once its page is drawn.
      const r = first.r ?? linkInHash(location.hash) ?? undefined;
      const entry = await readEntry(source, [one, ...others], { ...first, r });
      return { entry, dictionaries: [one, ...others], key: JSON.stringify(first) };
    },
    gcTime: 0,
  });
  return (
    <Shown query={query} waiting={waiting}>
      {children}
    </Shown>
  );
}
