"use client";
import { useQuery } from "@tanstack/react-query";
import { Images } from "lucide-react";
import Link from "next/link";
import { useMemo, useState } from "react";
import { HeatmapCanvas } from "@/components/heatmap/heatmap-canvas";
import { Button } from "@/components/ui/button";
import { ErrorState } from "@/components/ui/error-state";
import { Skeleton } from "@/components/ui/skeleton";
import { type FoundPicture, type RegionQuestion, regionPicturesQueryOptions } from "@/lib/api/region-pictures";
import { asFacetError } from "@/lib/core/errors";
import { formatCount, formatNoun, formatScore, inPrint } from "@/lib/core/format";
import { maximum } from "@/lib/core/heat";
import { decodeRegion, type Region } from "@/lib/core/region";
import { routes } from "@/lib/core/routes";
import { decodeMap, toDense } from "@/lib/core/sparse-map";
import { RegionOutline } from "./region-outline";

interface FoundPicturesProps {
  /** What would be asked now. */
  question: RegionQuestion;
  /** Each sought feature's maximum over the catalogue, raw activation. */
  maximumOf: (index: number) => number | null;
  /** What is sent, where nothing else leaves the machine. */
  notice?: string;
}

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
  const heats = useMemo(
    () => query.data?.items.map((item) => together(item, question.features.length, maximumOf)) ?? [],
    [query.data, question, maximumOf],
  );
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
  const { items, total, examined } = query.data;
  const most = Math.max(...heats.map(({ sum }) => maximum(sum))) || 1;
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
      <ul className="mt-3 grid grid-cols-2 gap-3 sm:grid-cols-4">
        {items.map((item, i) => (
          <Picture
            key={item.image}
            item={item}
            question={question}
            region={region}
            heat={heats[i] ?? together(item, 1, maximumOf)}
            most={most}
          />
        ))}
      </ul>
    </>
  );
}

interface PictureProps {
  item: FoundPicture;
  question: RegionQuestion;
  region: Region;
  heat: ReturnType<typeof together>;
  /** The hottest cell of all pictures: they share one scale. */
  most: number;
}

/** The features' share of their maxima, summed cell by cell over those asked for: 1 where all are at theirs. */
function together(item: FoundPicture, count: number, maximumOf: FoundPicturesProps["maximumOf"]) {
  const { rows, cols } = item.features[0] ?? { rows: 1, cols: 1 };
  const sum = new Float32Array(rows * cols);
  for (const feature of item.features) {
    if (feature.rows !== rows || feature.cols !== cols) continue;
    const unit = Math.max(maximumOf(feature.index) ?? 0, feature.peak) * count;
    toDense(decodeMap(feature.map), rows, cols).forEach((value, cell) => {
      sum[cell] = (sum[cell] as number) + value / unit;
    });
  }
  return { rows, cols, sum };
}

function Picture({ item, question, region, heat: { rows, cols, sum }, most }: PictureProps) {
  const count = question.features.length;
  const caption = inPrint(item.caption) ?? `Picture ${item.image.slice(0, 12)}`;
  return (
    <li>
      <Link
        href={routes.image(item.image, { dictionary: question.dictionary, region: question.region })}
        prefetch={false}
        className="block rounded-md hover:bg-sunken"
        aria-label={`${caption}: ${item.features.length} of ${formatNoun(count, "feature")}, ${formatScore(item.score)} of their maxima`}
      >
        <HeatmapCanvas
          src={routes.api.image(item.image)}
          alt=""
          map={sum}
          rows={rows}
          cols={cols}
          max={most}
          opacity={0.65}
          size={200}
          className="overflow-hidden rounded-md"
        >
          <RegionOutline region={region} fill={false} className="opacity-70" />
        </HeatmapCanvas>
        <span className="block px-1 py-1 text-sm">
          <span dir="auto" className="line-clamp-2">
            {caption}
          </span>
          <span className="num text-muted">
            {item.features.length} of {count} · {formatScore(item.score)}
          </span>
        </span>
      </Link>
    </li>
  );
}
