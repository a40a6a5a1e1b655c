"use client";
import { useQuery } from "@tanstack/react-query";
import { ArrowDown, ArrowUp, Headphones, VolumeX, X } from "lucide-react";
import Link from "next/link";
import { memo, useId } from "react";
import { cn } from "@/components/ui/cn";
import { IconButton } from "@/components/ui/icon-button";
import { Segmented } from "@/components/ui/segmented";
import { Skeleton } from "@/components/ui/skeleton";
import { featureQueryOptions } from "@/lib/api/feature";
import { formatActivation, formatIndex } from "@/lib/core/format";
import { type ImageRef, limits, type Op } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";
import { ClampPresets } from "./clamp-presets";
import { ClampScope } from "./clamp-scope";
import { describeScope, describeStrength, opNames } from "./clamp-words";
import { FeatureThumb } from "./feature-thumb";
import { NumberField } from "./number-field";
import { OnPicture } from "./on-picture";
import type { Grid } from "./region";
import type { Clamp, Problem, SteerAction } from "./state";
import { StrengthSlider } from "./strength-slider";

interface ClampCardProps {
  dictionary: string;
  numLatents: number;
  clamp: Clamp;
  position: number;
  count: number;
  /** Silent because muted, or because another is solo. */
  silent: boolean;
  /** Which features are clamped, this one among them. */
  clamped: readonly number[];
  /** The request's pictures in their order; null for one that is not here. */
  images: readonly (ImageRef | null)[];
  /** Of a picture, to paint on. */
  grid: Grid | null;
  problem: Problem | undefined;
  send: (action: SteerAction) => void;
  /** Runs a clamp at several strengths. */
  onDose: (id: number) => void;
}

const ops = (Object.keys(opNames) as Op[]).map((value) => ({ value, name: opNames[value].name }));

export const ClampCard = memo(function ClampCard({
  dictionary,
  numLatents,
  clamp,
  position,
  count,
  silent,
  clamped,
  images,
  grid,
  problem,
  send,
  onDose,
}: ClampCardProps) {
  const titleId = useId();
  const problemId = useId();
  const detail = useQuery(featureQueryOptions(dictionary, clamp.feature));
  const feature = detail.data?.feature;
  const key = formatIndex(clamp.feature, numLatents);
  const name = feature?.label ?? (detail.data ? "unexplained feature" : "");
  const spoken = name ? `${name}, ${key}` : key;
  const maximum = feature?.maxActivation ?? 0;
  /** Without a maximum there is no unit to count in. */
  const raw = clamp.unit === "raw";
  const noUnit = feature !== undefined && !(maximum > 0) && !raw && (clamp.op === "set" || clamp.op === "add");
  const change = (patch: Extract<SteerAction, { type: "clamp-change" }>["patch"]) => send({ type: "clamp-change", id: clamp.id, patch });
  /** Pictures on which it may fire where it is clamped. */
  const { scope } = clamp;
  const looked = images.filter((image, i): image is ImageRef => image !== null && (scope.type !== "region" || scope.image === i));
  const own = clamp.op === "set" || clamp.op === "add";
  const amount = own && maximum > 0 && !raw ? ` (${formatActivation(clamp.value * maximum)})` : "";

  return (
    <li
      aria-labelledby={titleId}
      aria-describedby={problem ? problemId : undefined}
      className={cn("rounded-lg bg-raised p-3 ring-1 ring-line", problem && "ring-2 ring-bad")}
    >
      <div className="flex items-start gap-3">
        <FeatureThumb example={feature?.top[0]} size={56} className={cn(silent && "opacity-50 grayscale")} />
        <div className="min-w-0 grow">
          <h3 id={titleId} className="flex items-baseline gap-2">
            {detail.isPending ? (
              <Skeleton className="h-5 w-28" />
            ) : (
              <span dir="auto" className={cn("line-clamp-2 min-w-0 font-medium leading-snug", !feature?.label && "text-muted italic")}>
                {detail.error ? "not in this dictionary" : name}
              </span>
            )}
            <Link
              href={routes.feature(dictionary, clamp.feature)}
              className="shrink-0 font-mono text-accent text-xs underline-offset-4 hover:underline"
              aria-label={`Open feature ${key}`}
            >
              {key}
            </Link>
          </h3>
          <p className="mt-0.5 text-muted text-sm">
            {silent
              ? `${clamp.muted ? "Muted" : "Silent while another is solo"}: not sent`
              : `${describeStrength(clamp)}${amount} ${describeScope(clamp.scope)}`}
          </p>
        </div>
        <IconButton
          label={`Remove ${spoken}`}
          size="sm"
          className="-mt-1 -mr-1"
          data-remove
          onClick={(event) => {
            focusAfterRemoval(event.currentTarget);
            send({ type: "clamp-remove", id: clamp.id });
          }}
        >
          <X />
        </IconButton>
      </div>

      {detail.error && (
        <p className="mt-2 text-bad text-sm">
          {detail.error.message} {"fix" in detail.error && String(detail.error.fix)}
        </p>
      )}

      <div className="mt-3 flex flex-wrap items-center justify-between gap-x-3 gap-y-2">
        <Segmented label={`What to do with ${spoken}`} value={clamp.op} onChange={(op) => change({ op })} options={ops} />
        {clamp.op !== "ablate" && (
          <span className="flex items-center gap-1.5 text-muted text-sm">
            <NumberField
              label={`Strength of ${spoken}, ${own ? (raw ? "in raw activation" : "in units of its maximum") : "as a factor"}`}
              value={clamp.value}
              onChange={(value) => change({ value })}
              min={-limits.value}
              max={limits.value}
              className="w-16"
            />
            {own ? (raw ? "raw" : "× max") : "× its own"}
          </span>
        )}
      </div>
      {clamp.op === "ablate" ? (
        <p className="mt-2 text-muted text-sm">{opNames.ablate.explain}</p>
      ) : (
        !raw && (
          <div className="mt-2">
            <StrengthSlider
              label={`Strength of ${spoken}`}
              value={clamp.value}
              onChange={(value) => change({ value })}
              valueText={describeStrength(clamp)}
              unit={own ? "max" : "1×"}
              histogram={own ? (detail.data?.histogram ?? null) : null}
            />
          </div>
        )
      )}
      {looked.length > 0 && (clamp.op === "ablate" || clamp.op === "scale") && (
        <OnPicture dictionary={dictionary} feature={clamp.feature} images={looked} />
      )}
      {noUnit && (
        <p className="mt-2 text-sm text-warn">
          This feature never fired on the catalogue, so it has no maximum to count in.{" "}
          <button type="button" className="underline underline-offset-4" onClick={() => change({ unit: "raw" })}>
            Give its strength in raw activation
          </button>
        </p>
      )}
      {raw && own && maximum > 0 && (
        <p className="mt-2 text-muted text-sm">
          Its maximum is {formatActivation(maximum)}.{" "}
          <button
            type="button"
            className="text-accent underline underline-offset-4"
            onClick={() => change({ unit: "max", value: Math.round((clamp.value / maximum) * 100) / 100 })}
          >
            Count in units of it
          </button>
        </p>
      )}

      <ClampScope
        clamp={clamp}
        spoken={spoken}
        dictionary={dictionary}
        images={images}
        grid={grid}
        onChange={(scope) => change({ scope })}
      />

      <div className="mt-3 flex flex-wrap items-center justify-between gap-x-2 gap-y-1">
        <ClampPresets clamp={clamp} spoken={spoken} dictionary={dictionary} images={images} clamped={clamped} send={send} onDose={onDose} />
        <div className="-mr-1 ml-auto flex">
          <IconButton label={`Mute ${spoken}`} size="sm" pressed={clamp.muted} onClick={() => change({ muted: !clamp.muted, solo: false })}>
            <VolumeX />
          </IconButton>
          <IconButton label={`Only ${spoken}`} size="sm" pressed={clamp.solo} onClick={() => change({ solo: !clamp.solo })}>
            <Headphones />
          </IconButton>
          <IconButton
            label={`Move ${spoken} up`}
            size="sm"
            disabled={position === 0}
            onClick={(event) => {
              keepFocus(event.currentTarget);
              send({ type: "clamp-move", id: clamp.id, by: -1 });
            }}
          >
            <ArrowUp />
          </IconButton>
          <IconButton
            label={`Move ${spoken} down`}
            size="sm"
            disabled={position === count - 1}
            onClick={(event) => {
              keepFocus(event.currentTarget);
              send({ type: "clamp-move", id: clamp.id, by: 1 });
            }}
          >
            <ArrowDown />
          </IconButton>
        </div>
      </div>
      {problem && (
        <p id={problemId} className="mt-2 text-bad text-sm">
          {problem.message}
        </p>
      )}
    </li>
  );
});

/** The focus goes to the next card, else the one before, else the search box: not to the top of the page. */
function focusAfterRemoval(button: HTMLElement): void {
  const card = button.closest("li");
  const other = card?.nextElementSibling ?? card?.previousElementSibling;
  const box = card?.closest("section")?.querySelector<HTMLElement>('[role="combobox"]');
  (other?.querySelector<HTMLElement>("[data-remove]") ?? box)?.focus();
}

/** A card that is moved in the page drops its focus; at the end of its way the button's twin takes it. */
function keepFocus(button: HTMLButtonElement): void {
  requestAnimationFrame(() => {
    const twin = button.disabled ? (button.nextElementSibling ?? button.previousElementSibling) : button;
    if (twin instanceof HTMLElement) twin.focus();
  });
}
