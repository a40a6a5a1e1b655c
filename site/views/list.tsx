"use client";
import { useQuery } from "@tanstack/react-query";
import { DictionaryView } from "@/components/search/dictionary-view";
import { GridSkeleton } from "@/components/search/feature-grid";
import { readPreferences } from "@/components/search/preference-keys";
import { useCurrentDictionary } from "@/components/shell/current-dictionary";
import { dictionaryQueryOptions } from "@/lib/api/dictionaries";
import { FacetError } from "@/lib/core/errors";
import { Failed, Shown, useTitle } from "./shown";

/** What a dictionary's list is first drawn with; the browser's own preferences follow. */
const usual = readPreferences(() => undefined);

export function ListPage() {
  const { ref } = useCurrentDictionary();
  const query = useQuery({ ...dictionaryQueryOptions(ref ?? ""), enabled: ref !== null });
  useTitle(query.data?.ref);
  if (ref === null) return <Failed error={new FacetError("dictionary_not_found", "The address names no dictionary.")} />;
  return (
    <Shown query={query} waiting={<GridSkeleton />}>
      {({ examples, ...dictionary }) => (
        <DictionaryView
          key={ref}
          dictionary={dictionary}
          illustrated={examples.some(({ top, text }) => top.length > 0 || text !== null)}
          initial={usual}
        />
      )}
    </Shown>
  );
}
