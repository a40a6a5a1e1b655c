"use client";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { ExamplePicture } from "@/components/heatmap/example-picture";
import { featureQueryOptions } from "@/lib/api/feature";
import { routes } from "@/lib/core/routes";

/** What the catalogue itself shows of a feature, beside one's own picture. */
export function ExamplesBeside({ dictionary, index }: { dictionary: string; index: number }) {
  const { data, isPending, isError } = useQuery(featureQueryOptions(dictionary, index));
  const examples = data?.examples.top?.slice(0, 4) ?? [];
  return (
    <section aria-label="The catalogue's examples" className="text-sm">
      <p className="mb-1 text-muted">
        {isPending
          ? "Examples…"
          : isError
            ? "The examples did not arrive; the feature's page asks for them again."
            : examples.length === 0
              ? "The catalogue has no pictures of this feature."
              : "The catalogue's strongest pictures of it:"}
      </p>
      <ul className="flex min-h-20 gap-2">
        {examples.map((example) => (
          <li key={example.image}>
            <ExamplePicture
              example={example}
              max={data?.feature.maxActivation ?? null}
              size={80}
              className="size-20 overflow-hidden rounded"
            />
          </li>
        ))}
      </ul>
      {/* One link: the pictures would be as many with one name. */}
      <Link href={routes.feature(dictionary, index)} prefetch={false} className="text-accent underline underline-offset-4">
        Open feature #{index}
      </Link>
    </section>
  );
}
