import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { cache } from "react";
import { EmbedFrame } from "@/components/experiment/embed-frame";
import { rateOf, summarise } from "@/components/feature/facts";
import { ExamplePicture } from "@/components/heatmap/example-picture";
import { ErrorState } from "@/components/ui/error-state";
import { getDatabase } from "@/lib/catalog/db";
import { findFeature } from "@/lib/catalog/feature-detail";
import { asFacetError, type FacetError } from "@/lib/core/errors";
import { formatIndex, formatScore } from "@/lib/core/format";
import type { FeatureDetail } from "@/lib/core/records";
import { refOf, routes } from "@/lib/core/routes";
import { MissingPage, missingHere } from "../../../../../missing-page";

interface PageProps {
  params: Promise<{ model: string; dictionary: string; index: string }>;
}

/** Pictures shown, each with its heat on one scale. */
const shown = 4;

/** Read once for the page and its metadata. */
const load = cache(async (ref: string, index: string): Promise<{ detail: FeatureDetail } | { problem: FacetError }> => {
  if (!/^\d{1,9}$/.test(index)) notFound();
  try {
    return { detail: await findFeature(await getDatabase(), ref, Number(index)) };
  } catch (error) {
    return { problem: asFacetError(error) };
  }
});

export async function generateMetadata({ params }: PageProps): Promise<Metadata> {
  const given = await params;
  if (await missingHere()) return { title: "Not found" };
  const loaded = await load(refOf(given), given.index);
  // What is in a frame is no page of its own to whoever searches.
  return { title: "problem" in loaded ? `#${given.index}` : summarise(loaded.detail).title, robots: { index: false } };
}

function numbers({ feature }: FeatureDetail): string {
  if (feature.dead) return "It never fires.";
  const onImages = feature.density !== null || feature.textDensity === null;
  const rate = onImages ? rateOf(feature.density, "image tokens") : rateOf(feature.textDensity, "text tokens");
  return `Fires on ${rate}.${feature.iou === null ? "" : ` IoU ${formatScore(feature.iou)}.`}`;
}

/** A feature in a frame of another site: its strongest pictures and what it is. */
export default async function FeatureEmbed({ params }: PageProps) {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  const given = await params;
  const loaded = await load(refOf(given), given.index);
  if ("problem" in loaded) {
    if (loaded.problem.status === 404) notFound();
    return <ErrorState page error={loaded.problem.toJSON()} />;
  }
  const { detail } = loaded;
  const { feature, dictionary, explanations } = detail;
  const explanation = explanations.find(({ preferred }) => preferred)?.text;
  const label = feature.label ?? (feature.dead ? "Dead feature" : "Unexplained feature");
  return (
    <EmbedFrame
      href={routes.feature(dictionary.ref, feature.index)}
      title={
        <>
          <span dir="auto">{label}</span> <span className="font-mono font-normal text-muted text-sm">{formatIndex(feature.index)}</span>
        </>
      }
      foot={`${dictionary.id} of ${dictionary.model.name}`}
    >
      {feature.top.length > 0 && (
        <ul className="grid grid-cols-2 gap-2 sm:grid-cols-4" aria-label="Pictures on which it fires most, brighter where it fires">
          {feature.top.slice(0, shown).map((example) => (
            <li key={example.image}>
              <ExamplePicture example={example} max={feature.maxActivation} size={240} loading="eager" className="rounded-md bg-sunken" />
            </li>
          ))}
        </ul>
      )}
      <div className="text-sm">
        {explanation && explanation !== label && (
          <p dir="auto" className="line-clamp-3 break-words">
            {explanation}
          </p>
        )}
        <p className="num text-muted">{numbers(detail)}</p>
      </div>
    </EmbedFrame>
  );
}
