"use client";
import { GitFork, Play, Square } from "lucide-react";
import Link from "next/link";
import { useMemo } from "react";
import { Breadcrumbs } from "@/components/shell/breadcrumbs";
import { AnswersPanel } from "@/components/steer/answers-panel";
import { whyAddress } from "@/components/steer/why-address";
import { WhyContext, type WhyHref } from "@/components/steer/why-context";
import { Button } from "@/components/ui/button";
import { LinkButton } from "@/components/ui/link-button";
import { Term } from "@/components/ui/term";
import type { Experiment } from "@/lib/core/experiment";
import { isStatic, routes } from "@/lib/core/routes";
import { encodeSteerLink, linkFromRequest, steerHref } from "@/lib/core/steer-link";
import { formatDate } from "./date";
import { ReplayPanel } from "./replay-panel";
import { ChatView, ClampsView, type Grid, settingsWords } from "./request-view";
import { savedRun } from "./run-of";
import { ShareExperiment } from "./share-experiment";
import { useReplay } from "./use-replay";

/** What the catalogue holds now under the dictionary's name. */
export interface Present {
  /** SHA-256 of its weights. */
  sha256: string;
  runnable: boolean;
}

interface ExperimentViewProps {
  experiment: Experiment;
  /** Null where the catalogue has no such dictionary any more. */
  present: Present | null;
  grid: Grid | null;
}

function presentWords({ hashes, request }: Experiment, present: Present | null): string | null {
  if (!present) {
    return `This catalogue no longer has ${request.dictionary}: the experiment can be read, but neither replayed nor forked.`;
  }
  if (present.sha256 !== hashes.dictionary.sha256) {
    const [saved, now] = [hashes.dictionary.sha256.slice(0, 12), present.sha256.slice(0, 12)];
    return `The dictionary here is now another: hash ${now}, where this was saved with ${saved}. The same numbers may mean other features.`;
  }
  if (isStatic && present.runnable)
    return "This is a read-only copy: the experiment can be read, traced and forked, which runs in your browser, but not replayed.";
  return present.runnable ? null : "No engine here can run its model, so it can be read but not replayed.";
}

const hash = (sha256: string) => <code className="font-mono text-xs">{sha256.slice(0, 12)}</code>;

/** A saved experiment as it was, with what can be done with it. */
export function ExperimentView({ experiment, present, grid }: ExperimentViewProps) {
  const { title, note, createdAt, request, hashes, engine, events } = experiment;
  const run = useMemo(() => savedRun(experiment), [experiment]);
  const replay = useReplay(request, events);
  const fork = useMemo(() => steerHref(request.dictionary, encodeSteerLink(linkFromRequest(request))), [request]);
  const notice = presentWords(experiment, present);
  /** Asked again, the model says the same only where it and the dictionary are those that it was saved with. */
  const traceable = present?.runnable === true && present.sha256 === hashes.dictionary.sha256;
  const why = useMemo<WhyHref>(() => {
    const link = linkFromRequest(request);
    return (arm, place) => (traceable ? whyAddress(link, arm, place) : null);
  }, [request, traceable]);
  return (
    <div className="mx-auto w-full max-w-7xl px-4 pt-4 pb-10 sm:px-6">
      <Breadcrumbs items={[{ name: "Experiments", href: routes.experiments() }, { name: experiment.id }]} />
      <div className="mt-2 flex flex-wrap items-start gap-x-6 gap-y-3">
        <div className="min-w-0 grow basis-80">
          <h1 dir="auto" className="text-pretty break-words font-semibold text-xl leading-snug">
            {title}
          </h1>
          <p className="num mt-1 text-muted text-sm">
            Saved {formatDate(createdAt)} ·{" "}
            <Link href={routes.dictionary(request.dictionary)} className="break-words rounded-sm underline-offset-4 hover:underline">
              {request.dictionary}
            </Link>
          </p>
        </div>
        <div className="flex flex-wrap items-center gap-2">
          {present?.runnable && !isStatic && (
            <Button variant={replay.running ? "secondary" : "primary"} onClick={replay.running ? replay.stop : replay.start}>
              {replay.running ? <Square aria-hidden /> : <Play aria-hidden />}
              {replay.running ? "Stop" : "Replay"}
            </Button>
          )}
          {present && (
            <LinkButton href={fork} prefetch={false}>
              <GitFork aria-hidden />
              Fork
            </LinkButton>
          )}
          <ShareExperiment experiment={experiment} />
        </div>
      </div>
      {note && (
        <p dir="auto" className="mt-3 max-w-3xl whitespace-pre-wrap break-words">
          {note}
        </p>
      )}
      <div className="mt-4 flex flex-col gap-3 empty:hidden">
        {notice && (
          <p role="status" className="rounded-md bg-raised px-3 py-2 text-sm ring-1 ring-warn">
            {notice}
          </p>
        )}
        <ReplayPanel replay={replay} />
      </div>
      <div className="mt-6 grid gap-x-10 gap-y-8 md:grid-cols-[16rem_minmax(0,1fr)] lg:grid-cols-[20rem_minmax(0,1fr)]">
        <section aria-labelledby="answers-title" className="min-w-0 md:col-start-2 md:row-start-1">
          <h2 id="answers-title" className="mb-4 font-medium text-muted text-sm">
            Answers as the engine streamed them
          </h2>
          <WhyContext value={why}>
            <AnswersPanel
              run={run}
              stale={false}
              clamps={request.interventions.length}
              onRun={replay.start}
              dictionary={request.dictionary}
            />
          </WhyContext>
        </section>
        <div className="flex min-w-0 flex-col gap-6 md:col-start-1 md:row-start-1">
          <section aria-labelledby="input-title">
            <h2 id="input-title" className="mb-2 font-medium text-muted text-sm">
              Input
            </h2>
            <ChatView experiment={experiment} />
            <p className="num mt-2 text-muted text-sm">{settingsWords(request)}</p>
          </section>
          <section aria-labelledby="clamps-title">
            <h2 id="clamps-title" className="mb-2 font-medium text-muted text-sm">
              Clamps
            </h2>
            <ClampsView experiment={experiment} grid={grid} />
          </section>
          <section aria-labelledby="made-title">
            <h2 id="made-title" className="mb-2 font-medium text-muted text-sm">
              <Term explain="First 12 digits of each SHA-256: the same hash is the same file, to the last bit.">Made with</Term>
            </h2>
            <dl className="num grid grid-cols-[auto_minmax(0,1fr)] gap-x-3 gap-y-1 text-sm [&_dd]:break-words [&_dt]:text-muted">
              <dt>Model</dt>
              <dd>
                {hashes.model.id} {hash(hashes.model.sha256)}
              </dd>
              <dt>Dictionary</dt>
              <dd>
                {hashes.dictionary.id} {hash(hashes.dictionary.sha256)}
              </dd>
              {experiment.pictures.map(({ sha256 }, i) => (
                <div key={sha256} className="contents">
                  <dt>{experiment.pictures.length > 1 ? `Picture ${i + 1}` : "Picture"}</dt>
                  <dd>{hash(sha256)}</dd>
                </div>
              ))}
              <dt>Engine</dt>
              <dd>
                {engine.name} {engine.version}, {engine.dtype}
              </dd>
            </dl>
          </section>
        </div>
      </div>
    </div>
  );
}
