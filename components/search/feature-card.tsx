"use client";
import { Eye, EyeOff, FlaskConical } from "lucide-react";
import Link from "next/link";
import { memo, type PointerEvent, type Ref, useState } from "react";
import { ExamplePicture } from "@/components/heatmap/example-picture";
import { Badge } from "@/components/ui/badge";
import { cn } from "@/components/ui/cn";
import { formatActivation, formatIndex, formatPercent } from "@/lib/core/format";
import type { FeatureCard as Card, Dictionary, ImageExample, SortKey } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { CardText } from "./card-text";
import { ConceptGlyph } from "./concept";
import { DensityBar } from "./density-bar";
import { FeatureLabel, nameOf } from "./feature-label";
import { HealthGlyphs } from "./health";
import { MatchReason } from "./match-reason";
import { inSentence, leadOf, metrics } from "./metrics";

export interface FeatureCardProps {
  card: Card;
  dictionary: Pick<Dictionary, "ref" | "numLatents"> & Partial<Pick<Dictionary, "engine">>;
  /** Where the list is not of the latest: first 12 digits. */
  version?: string;
  /** The list it stands in, for previous and next on its page. */
  from?: string;
  heat: boolean;
  compact?: boolean;
  /** No feature of its list has a picture or a text: boxes without any would say so forty times. */
  bare?: boolean;
  /** Leaves room for why it matched. */
  searching?: boolean;
  /** What the list is sorted by. */
  sort?: SortKey;
  /** Whether its pictures are on the first screen. */
  eager?: boolean;
  /** Which of its pictures shows; the pointer moving over it and the key `n` change it. */
  picture?: number;
  onPicture?: (index: number, picture: number) => void;
  onFocus?: (index: number) => void;
  linkRef?: Ref<HTMLAnchorElement>;
}

/** A feature in a list. The whole card opens it. */
export const FeatureCard = memo(function FeatureCard({
  card,
  dictionary,
  version,
  from,
  heat,
  compact,
  bare,
  searching,
  sort,
  eager,
  picture = 0,
  onPicture,
  onFocus,
  linkRef,
}: FeatureCardProps) {
  const [hovered, setHovered] = useState<number | null>(null);
  const index = formatIndex(card.index, dictionary.numLatents);
  const last = Math.max(0, card.top.length - 1);
  // Of a feature over texts the share of text tokens is the one there is.
  const noun = card.density === null && card.textDensity !== null ? "text" : "image";
  const density = noun === "text" ? card.textDensity : card.density;

  // The pointer's place across the card picks the picture. The link lies over the whole card, so the card listens.
  const scrub = (event: PointerEvent<HTMLElement>) => {
    if (event.pointerType === "touch" || last === 0) return;
    const box = event.currentTarget.getBoundingClientRect();
    if (event.clientY - box.top > box.width) return;
    const next = Math.min(last, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * (last + 1))));
    if (next !== hovered) setHovered(next);
  };
  const leave = () => {
    if (hovered !== null) onPicture?.(card.index, hovered);
    setHovered(null);
  };
  return (
    <article
      onPointerMove={scrub}
      onPointerLeave={leave}
      className="group @container relative rounded-lg p-1.5 transition-colors duration-100 focus-within:bg-raised hover:bg-raised has-[a:focus-visible]:ring-2 has-[a:focus-visible]:ring-focus"
    >
      {!bare && <CardPicture card={card} heat={heat} compact={compact} eager={eager} picture={Math.min(last, hovered ?? picture)} />}
      {!bare && (dictionary.engine ?? "none") !== "none" && (
        <Link
          href={routes.steer({ dictionary: dictionary.ref, feature: card.index })}
          prefetch={false}
          // The keyboard has the key s.
          tabIndex={-1}
          aria-label={`Steer with ${index} ${nameOf(card)}`}
          title="Steer with it (s)"
          className="absolute top-3 right-3 z-10 inline-flex size-7 items-center justify-center rounded bg-black/65 text-white opacity-0 transition-opacity duration-100 hover:bg-black/85 group-focus-within:opacity-100 group-hover:opacity-100 pointer-coarse:opacity-100"
        >
          <FlaskConical className="size-4" aria-hidden />
        </Link>
      )}
      <div className={cn("px-0.5", !bare && "pt-2")}>
        <Link
          ref={linkRef}
          href={routes.feature(dictionary.ref, card.index, { v: version, from: from || undefined })}
          prefetch={false}
          data-feature={card.index}
          onFocus={() => onFocus?.(card.index)}
          aria-label={`${index} ${nameOf(card)}`}
          className="outline-none after:absolute after:inset-0 after:rounded-lg"
        >
          <FeatureLabel card={card} className={cn("break-words text-sm leading-5", compact ? "line-clamp-1 h-5" : "line-clamp-2 h-10")} />
        </Link>
        {searching && <MatchReason card={card} className="mt-1 h-[1.125rem]" />}
        <div className="mt-1.5 flex h-6 items-center gap-2 text-muted text-xs">
          <ConceptGlyph concept={card.concept} />
          {card.concept && <span className="sr-only">{card.concept}</span>}
          <span className="font-mono">{index}</span>
          <span className="relative z-10 ml-auto flex items-center gap-1.5">
            <HealthGlyphs card={card} />
            {compact && (
              <span className="hidden @[12.5rem]:inline-flex">
                <DensityBar density={density} noun={noun} />
              </span>
            )}
            <Lead card={card} sort={sort} />
          </span>
        </div>
        {!compact && (
          <div className="num relative z-10 flex h-5 items-center gap-1.5 whitespace-nowrap text-muted text-xs">
            <DensityBar density={density} noun={noun} className="@max-[9.5rem]:sr-only" />
            <span aria-hidden className="min-w-0 truncate">
              {formatPercent(density)}
            </span>
            <span className="ml-auto" title={metrics.max_activation.explain}>
              max {formatActivation(card.maxActivation)}
            </span>
          </div>
        )}
      </div>
    </article>
  );
});

/** The number that its list goes by, or its score. */
function Lead({ card, sort }: Pick<FeatureCardProps, "card" | "sort">) {
  const key = leadOf(card, sort);
  if (key === null) return null;
  const { name, short, explain, format, of } = metrics[key];
  return (
    <Badge title={`${name} ${format(of(card))}: ${inSentence(explain)}`}>
      <span aria-hidden className="hidden @[11rem]:inline">
        {inSentence(short)}
      </span>
      <span className="sr-only">{name} </span>
      {format(of(card))}
    </Badge>
  );
}

/** One of the top pictures; the eye turns its heat off. */
function CardPicture({
  card,
  heat,
  compact,
  eager,
  picture,
}: Pick<FeatureCardProps, "card" | "heat" | "compact" | "eager"> & { picture: number }) {
  const [flipped, setFlipped] = useState(false);
  const pictures = card.top;
  const example: ImageExample | undefined = pictures[picture];
  const show = heat !== flipped;
  if (!example && card.text) return <CardText text={card.text} compact={compact} />;
  if (!example) {
    return (
      <div className="flex aspect-square items-center justify-center rounded-md bg-sunken text-center text-muted text-xs">
        {card.dead ? "fired on nothing" : card.textDensity ? "fires on text only" : "no pictures"}
      </div>
    );
  }
  return (
    <div className="relative">
      <ExamplePicture
        example={example}
        max={card.maxActivation}
        show={show}
        size={compact ? 176 : 272}
        loading={eager ? "eager" : "lazy"}
        className="rounded-md bg-sunken"
      />
      <div className="pointer-events-none absolute inset-x-0 bottom-0 z-10 flex items-end justify-between p-1.5 opacity-0 transition-opacity duration-100 group-focus-within:opacity-100 group-hover:opacity-100">
        <span className="num rounded bg-black/65 px-1.5 py-0.5 text-white text-xs" aria-hidden>
          {picture + 1} / {pictures.length}
          <span className="ml-1.5 text-white/80">peak {formatPercent(card.maxActivation ? example.peak / card.maxActivation : null)}</span>
        </span>
        <button
          type="button"
          tabIndex={-1}
          aria-label={show ? "Show without heat" : "Show heat"}
          title={show ? "Show without heat" : "Show heat"}
          onClick={() => setFlipped(!flipped)}
          className="pointer-events-auto inline-flex size-7 items-center justify-center rounded bg-black/65 text-white hover:bg-black/85"
        >
          {show ? <EyeOff className="size-4" /> : <Eye className="size-4" />}
        </button>
      </div>
    </div>
  );
}
