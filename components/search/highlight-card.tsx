"use client";
import { FlaskConical } from "lucide-react";
import Link from "next/link";
import { ExamplePicture } from "@/components/heatmap/example-picture";
import { formatIndex } from "@/lib/core/format";
import type { Dictionary, FeatureCard } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { ConceptGlyph } from "./concept";

interface HighlightCardProps {
  dictionary: Pick<Dictionary, "ref" | "numLatents" | "hook" | "engine">;
  card: FeatureCard;
  reason: string;
}

/** A feature worth opening, and why. */
export function HighlightCard({ dictionary, card, reason }: HighlightCardProps) {
  return (
    <article className="group relative flex gap-4 rounded-xl p-3 transition-colors duration-100 hover:bg-raised xl:gap-5">
      <div className="w-28 shrink-0 sm:w-36 xl:w-44">
        {card.top.slice(0, 1).map((example) => (
          <ExamplePicture key={example.image} example={example} max={card.maxActivation} size={320} className="rounded-lg bg-sunken" />
        ))}
      </div>
      <div className="flex min-w-0 flex-col">
        <h3 className="font-semibold">
          <Link
            href={routes.feature(dictionary.ref, card.index)}
            className="outline-none after:absolute after:inset-0 after:rounded-xl focus-visible:after:outline-2 focus-visible:after:outline-focus"
          >
            <span dir="auto" className="line-clamp-2 underline-offset-4 group-hover:underline">
              {card.label}
            </span>
          </Link>
        </h3>
        <p className="mt-1 flex items-center gap-1.5 text-muted text-xs">
          <ConceptGlyph concept={card.concept} className="size-3.5" />
          <span className="truncate font-mono">
            {dictionary.hook} {formatIndex(card.index, dictionary.numLatents)}
          </span>
        </p>
        <p className="num mt-2 text-muted text-sm">{reason}</p>
        {dictionary.engine === "ready" && (
          <Link
            href={routes.steer({ dictionary: dictionary.ref, feature: card.index })}
            className="relative z-10 mt-auto inline-flex min-h-10 items-center gap-2 self-start rounded-sm pt-2 font-medium text-accent text-sm underline-offset-4 hover:underline"
          >
            <FlaskConical className="size-4" aria-hidden />
            Steer it
          </Link>
        )}
      </div>
    </article>
  );
}
