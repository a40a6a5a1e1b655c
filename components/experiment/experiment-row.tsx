import { ImageOff } from "lucide-react";
import Link from "next/link";
import type { ExperimentSummary } from "@/lib/core/experiment";
import { routes } from "@/lib/core/routes";
import { formatDate } from "./date";
import { MarkedText, marksOf } from "./marked-text";

/** A saved experiment in a list, or under a `heading` of its own: what was asked, and what was answered with and without. */
export function ExperimentRow({ experiment, heading: Heading = "h2" }: { experiment: ExperimentSummary; heading?: "h2" | "h3" }) {
  const { id, title, picture, question, steered, baseline, outcome, createdAt, dictionary } = experiment;
  const marks = marksOf(steered, baseline);
  return (
    <article className="group relative flex gap-4 rounded-lg bg-raised p-3 ring-1 ring-line transition-shadow duration-100 hover:shadow-md sm:p-4">
      <span className="flex size-20 shrink-0 items-center justify-center overflow-hidden rounded-md bg-sunken text-faint sm:size-28">
        {picture ? (
          // biome-ignore lint/performance/noImgElement: content-addressed; nothing to optimise
          <img src={routes.api.image(picture)} alt="" loading="lazy" className="size-full object-cover" />
        ) : (
          <ImageOff className="size-5" aria-hidden />
        )}
      </span>
      <div className="flex min-w-0 grow flex-col gap-1">
        <Heading className="min-w-0">
          <Link
            href={routes.experiment(id)}
            prefetch={false}
            className="rounded-sm font-semibold underline-offset-4 outline-none after:absolute after:inset-0 after:rounded-lg focus-visible:after:outline-2 focus-visible:after:outline-focus group-hover:underline"
          >
            <span dir="auto" className="line-clamp-2 break-words">
              {title}
            </span>
          </Link>
        </Heading>
        {question && question !== title && (
          <p dir="auto" className="line-clamp-1 break-words text-muted text-sm">
            {question}
          </p>
        )}
        <p className="line-clamp-2 text-sm">
          <span className="text-muted">{outcome === "unchanged" ? "Not steered: " : "Steered: "}</span>
          <MarkedText text={steered} marks={marks?.left ?? null} />
        </p>
        {baseline !== null && (
          <p className="line-clamp-2 text-sm">
            <span className="text-muted">Baseline: </span>
            <MarkedText text={baseline} marks={marks?.right ?? null} />
          </p>
        )}
        <p className="num mt-auto truncate pt-1 text-muted text-xs">
          {formatDate(createdAt)} · {dictionary}
        </p>
      </div>
    </article>
  );
}
