import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { formatDate } from "@/components/experiment/date";
import { EmbedFrame } from "@/components/experiment/embed-frame";
import { MarkedText, marksOf } from "@/components/experiment/marked-text";
import { ErrorState } from "@/components/ui/error-state";
import { describeClamp, receiptsOf } from "@/lib/core/experiment";
import { describeReceipt } from "@/lib/core/receipt";
import { routes } from "@/lib/core/routes";
import { MissingPage, missingHere } from "../../../missing-page";
import { loadExperiment } from "../../../x/load-experiment";

interface PageProps {
  params: Promise<{ id: string }>;
}

export async function generateMetadata({ params }: PageProps): Promise<Metadata> {
  const loaded = await loadExperiment((await params).id);
  // What is in a frame is no page of its own to whoever searches.
  return { title: "problem" in loaded ? "Experiment" : loaded.experiment.title, robots: { index: false } };
}

/** A saved experiment in a frame of another site. */
export default async function ExperimentEmbed({ params }: PageProps) {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  const { id } = await params;
  const loaded = await loadExperiment(id);
  if ("problem" in loaded) {
    if (loaded.problem.status === 404) notFound();
    return <ErrorState page error={loaded.problem.toJSON()} />;
  }
  const { title, question, picture, clamps, steered, baseline, outcome, createdAt, request, events } = loaded.experiment;
  const marks = marksOf(steered, baseline);
  const receipt = receiptsOf(events).find(({ arm }) => arm === "steered");
  const held = clamps.map(describeClamp).join(", ");
  return (
    <EmbedFrame
      href={routes.experiment(id)}
      title={<span dir="auto">{title}</span>}
      foot={`Saved ${formatDate(createdAt)} · ${request.dictionary}`}
    >
      <div className="flex flex-wrap gap-4">
        {picture && (
          // biome-ignore lint/performance/noImgElement: content-addressed; nothing to optimise
          <img src={routes.api.image(picture)} alt="What the model was shown" className="size-40 rounded-md bg-sunken object-contain" />
        )}
        <dl className="min-w-0 grow basis-56 text-sm [&_dd+dt]:mt-2 [&_dt]:text-muted [&_dt]:text-xs">
          {question && question !== title && (
            <>
              <dt>Asked</dt>
              <dd dir="auto" className="line-clamp-2 break-words">
                {question}
              </dd>
            </>
          )}
          {held && held !== title && (
            <>
              <dt>Clamps</dt>
              <dd dir="auto" className="line-clamp-2 break-words">
                {held}
              </dd>
            </>
          )}
          <dt>{outcome === "unchanged" ? "Not steered" : "Steered"}</dt>
          <dd className="text-lg leading-snug">
            <MarkedText text={steered || "(nothing)"} marks={marks?.left ?? null} />
          </dd>
          {baseline !== null && (
            <>
              <dt>Baseline</dt>
              <dd className="text-base leading-snug">
                <MarkedText text={baseline || "(nothing)"} marks={marks?.right ?? null} />
              </dd>
            </>
          )}
        </dl>
      </div>
      {receipt && <p className="num text-muted text-sm">{describeReceipt(receipt)}</p>}
    </EmbedFrame>
  );
}
