"use client";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { ExperimentList } from "@/components/experiment/experiment-list";
import { ExperimentView } from "@/components/experiment/experiment-view";
import { gridOf } from "@/components/experiment/grid-of";
import { dictionariesQueryOptions } from "@/lib/api/dictionaries";
import { experimentQueryOptions } from "@/lib/api/experiments";
import { FacetError } from "@/lib/core/errors";
import type { Experiment, RecordedEvent } from "@/lib/core/experiment";
import { Failed, Shown, useTitle } from "./shown";

export function ExperimentsPage() {
  return <ExperimentList search={(useSearchParams().get("q") ?? "").trim()} />;
}

export function ExperimentPage() {
  const id = useSearchParams().get("id");
  const query = useQuery({ ...experimentQueryOptions(id ?? ""), enabled: id !== null });
  const dictionaries = useQuery(dictionariesQueryOptions());
  useTitle(query.data?.title);
  if (id === null) return <Failed error={new FacetError("experiment_not_found", "The address names no experiment.")} />;
  return (
    <Shown query={query}>
      {(found) => (
        <Shown query={dictionaries}>
          {(all) => {
            const experiment: Experiment = { ...found, events: found.events as RecordedEvent[] };
            const dictionary = all.find(({ ref }) => ref === experiment.request.dictionary) ?? null;
            return (
              <ExperimentView
                key={id}
                experiment={experiment}
                present={dictionary && { sha256: dictionary.sha256, runnable: dictionary.engine !== "none" }}
                grid={gridOf(experiment, dictionary)}
              />
            );
          }}
        </Shown>
      )}
    </Shown>
  );
}
