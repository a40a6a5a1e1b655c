import { CircleCheck, CircleHelp, CircleOff, TriangleAlert } from "lucide-react";
import { ActivationHistogram } from "@/components/charts/activation-histogram";
import { cn } from "@/components/ui/cn";
import { Term } from "@/components/ui/term";
import type { FeatureDetail } from "@/lib/core/records";
import { facts, type Health, health } from "./facts";

/** The histogram with what is looked at marked. */
export function FeatureHistogram({ detail, mark }: { detail: FeatureDetail; mark: { value: number; name: string } | null }) {
  if (!detail.histogram || detail.histogram.counts.every((count) => count === 0)) {
    const { dead, density, textDensity } = detail.feature;
    const measured = density !== null || textDensity !== null;
    return (
      <p className="text-muted text-sm">
        {dead || density === 0
          ? `It is active on no ${density === null ? "text" : "image"} token, so there is nothing to count.`
          : measured
            ? "The files of this dictionary hold no histogram."
            : "The files of this dictionary hold no activations."}
      </p>
    );
  }
  return <ActivationHistogram histogram={detail.histogram} mark={mark} />;
}

const icons: Record<Health["tone"], typeof CircleCheck> = { good: CircleCheck, warn: TriangleAlert, bad: CircleOff, neutral: CircleHelp };
const inks: Record<Health["tone"], string> = { good: "text-good", warn: "text-warn", bad: "text-bad", neutral: "text-muted" };

/** Density, share, maximum and health, in words with numbers. */
export function FeatureFacts({ detail }: { detail: FeatureDetail }) {
  return (
    <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-2 text-sm">
      {facts(detail).map((fact) => (
        <div key={fact.key} className="contents">
          <dt className="text-muted">
            <Term explain={fact.explains}>{fact.term}</Term>
          </dt>
          <dd className="num">
            {fact.lines.map((line) => (
              <span key={line} className="block">
                {line}
              </span>
            ))}
            {fact.key === "share" && detail.feature.imageShare !== null && <ShareBar share={detail.feature.imageShare} />}
          </dd>
        </div>
      ))}
      <dt className="text-muted">
        <Term explain="Whether the feature can be trusted to mean something: dead, always on, or a sink for a few fixed positions.">
          Health
        </Term>
      </dt>
      <dd className="space-y-1">
        {health(detail).map((entry) => {
          const Icon = icons[entry.tone];
          return (
            <p key={entry.key}>
              <Icon className={cn("mr-1.5 inline size-4 -translate-y-px", inks[entry.tone])} aria-hidden />
              <span className={inks[entry.tone]}>{entry.name}.</span> {entry.text}
            </p>
          );
        })}
      </dd>
    </dl>
  );
}

function ShareBar({ share }: { share: number }) {
  return (
    <span aria-hidden className="mt-1 flex h-1.5 w-full max-w-48 overflow-hidden rounded-full bg-line">
      <span className="bg-accent" style={{ width: `${100 * share}%` }} />
    </span>
  );
}
