import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { ExperimentView } from "@/components/experiment/experiment-view";
import { gridOf } from "@/components/experiment/grid-of";
import { ErrorState } from "@/components/ui/error-state";
import { LinkButton } from "@/components/ui/link-button";
import { cardSize } from "@/lib/core/card";
import { routes } from "@/lib/core/routes";
import { MissingPage, missingHere } from "../../missing-page";
import { requestOrigin } from "../../request-origin";
import { describeExperiment, loadExperiment, presentDictionary } from "../load-experiment";

interface PageProps {
  params: Promise<{ id: string }>;
}

export async function generateMetadata({ params }: PageProps): Promise<Metadata> {
  if (await missingHere()) return { title: "Not found" };
  const { id } = await params;
  const loaded = await loadExperiment(id);
  if ("problem" in loaded) return { title: "Experiment" };
  const { title } = loaded.experiment;
  const description = describeExperiment(loaded.experiment);
  const images = [{ url: routes.api.experimentCard(id), ...cardSize, type: "image/png", alt: title }];
  return {
    metadataBase: await requestOrigin(),
    title,
    description,
    alternates: { canonical: routes.experiment(id) },
    openGraph: { title, description, type: "article", images },
    twitter: { card: "summary_large_image", title, description, images },
  };
}

export default async function ExperimentPage({ params }: PageProps) {
  const missing = await missingHere();
  if (missing) return <MissingPage missing={missing} />;
  const { id } = await params;
  const loaded = await loadExperiment(id);
  if ("problem" in loaded) {
    const { problem } = loaded;
    if (problem.status === 404) notFound();
    const action = <LinkButton href={routes.experiments()}>See the other experiments</LinkButton>;
    return <ErrorState page error={problem.toJSON()} action={action} />;
  }
  const { experiment } = loaded;
  const dictionary = await presentDictionary(experiment.request.dictionary);
  return (
    <ExperimentView
      key={id}
      experiment={experiment}
      present={dictionary && { sha256: dictionary.sha256, runnable: dictionary.engine !== "none" }}
      grid={gridOf(experiment, dictionary)}
    />
  );
}
