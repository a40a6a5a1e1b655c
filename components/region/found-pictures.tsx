"use client";
import { useQuery } from "@tanstack/react-query";
import { Images } from "lucide-react";
import { useMemo, useState } from "react";
import { Button } from "@/components/ui/button";
import { ErrorState } from "@/components/ui/error-state";
import { Skeleton } from "@/components/ui/skeleton";
import { type FoundPicture, type RegionQuestion, regionPicturesQueryOptions } from "@/lib/api/region-pictures";
import { asFacetError } from "@/lib/core/errors";
import { formatCount, formatNoun } from "@/lib/core/format";
import { decodeRegion } from "@/lib/core/region";
import { decodeMap } from "@/lib/core/sparse-map";
import { FoundList } from "./found-list";

interface FoundPicturesProps {
  /** What would be asked now. */
  question: RegionQuestion;
  /** Each sought feature's maximum over the catalogue, raw activation. */
  maximumOf: (index: number) => number | null;
  /** What is sent, where nothing else leaves the machine. */
  notice?: string;
}

const decoded = (item: FoundPicture) => ({ ...item, features: item.features.map((one) => ({ ...one, map: decodeMap(one.map) })) });

/** Looks for other pictures when asked to, and shows them until something else is asked. */
export function FoundPictures({ question, maximumOf, notice }: FoundPicturesProps) {
  const [asked, setAsked] = useState<RegionQuestion | null>(null);
  const current = asked !== null && JSON.stringify(asked) === JSON.stringify(question);
  const count = question.features.length;
  const problem =
    question.region === ""
      ? "The region is too ragged to be sent: paint it with fewer edges."
      : count === 0
        ? "Tick a feature in the list to look for it."
        : null;
  return (
    <section aria-labelledby="found-pictures" className="mt-8">
      <h2 id="found-pictures" className="font-semibold text-base">
        Other pictures with the same there
      </h2>
      <div className="mt-2 flex flex-wrap items-center gap-3 text-sm">
        <Button
          size="sm"
          variant={current ? "secondary" : "primary"}
          disabled={problem !== null || current}
          onClick={() => setAsked(question)}
        >
          <Images aria-hidden />
          Find pictures with {count === 1 ? "this feature" : `these ${count} features`} there
        </Button>
        {problem && <p className="text-muted">{problem}</p>}
        {notice && !problem && !current && <p className="min-w-0 grow basis-56 text-muted">{notice}</p>}
      </div>
      {current && asked && <Found question={asked} maximumOf={maximumOf} />}
    </section>
  );
}

function Found({ question, maximumOf }: { question: RegionQuestion; maximumOf: FoundPicturesProps["maximumOf"] }) {
  const query = useQuery(regionPicturesQueryOptions(question));
  const region = useMemo(() => decodeRegion(question.region), [question.region]);
  const items = useMemo(() => query.data?.items.map(decoded) ?? [], [query.data]);
  if (query.error) return <ErrorState error={asFacetError(query.error)} onRetry={() => query.refetch()} />;
  if (!query.data || !region) {
    return (
      <div role="status" aria-label="Looking for pictures" className="mt-3 grid grid-cols-2 gap-3 sm:grid-cols-4">
        {Array.from({ length: 8 }, (_, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: blocks without identity
          <Skeleton key={i} className="aspect-square" />
        ))}
      </div>
    );
  }
  const { total, examined } = query.data;
  return (
    <>
      <p role="status" className="num mt-3 text-muted text-sm">
        {total === 0
          ? "None of the stored examples of these features fires there."
          : `${formatNoun(total, "picture")}${total > items.length ? `, the best ${items.length} shown` : ""}, by how strongly all of them fire there.`}{" "}
        Looked through: {formatNoun(examined.examples, "stored example")} of{" "}
        {question.features.length === 1 ? "this feature" : "these features"} on {formatNoun(examined.pictures, "picture")}
        {examined.catalogue !== undefined && ` of the catalogue's ${formatCount(examined.catalogue)}`}. A picture that is no example of a
        feature counts as without it.
      </p>
      <FoundList
        items={items}
        dictionary={question.dictionary}
        count={question.features.length}
        region={region}
        code={question.region}
        maximumOf={maximumOf}
      />
    </>
  );
}
