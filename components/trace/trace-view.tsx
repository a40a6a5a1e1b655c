"use client";
import { MessageCircleQuestion } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { SaveExperiment } from "@/components/experiment/save-experiment";
import { useInTab } from "@/components/local-engine/in-tab";
import { useWhere, type Where } from "@/components/local-engine/use-where";
import { WhereChoice } from "@/components/local-engine/where-choice";
import { Banner } from "@/components/steer/banner";
import { DictionarySelect } from "@/components/steer/dictionary-select";
import { EngineNote, useDictionaries } from "@/components/steer/engine-note";
import { queueWords, textOf } from "@/components/steer/run-state";
import { toLink } from "@/components/steer/state";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { Skeleton } from "@/components/ui/skeleton";
import type { Intervention } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import { activeClamps, encodeSteerLink, type SteerLink, steerHref } from "@/lib/core/steer-link";
import type { TraceView as View } from "@/lib/core/trace-link";
import { AnswerWords } from "./answer-words";
import { Asked } from "./asked";
import { type Asking, AskingContext } from "./asking";
import { Explained } from "./explained";
import { armSentence } from "./explained-arm";
import { MendNote } from "./mend-note";
import { MetricChoice } from "./metric-choice";
import { nearAnswers } from "./near-answers";
import { TraceShare } from "./trace-share";
import { useMend } from "./use-mend";
import { useTrace } from "./use-trace";
import { useTraceNote } from "./use-trace-note";

interface TraceViewProps {
  initial: SteerLink;
  initialView: View;
  dictionaries: Dictionary[];
  /** Why the address could not be followed, if it could not. */
  notice: string | null;
  savingOff?: boolean;
}

const versionOf = (dictionary: Dictionary) => dictionary.sha256.slice(0, 12);

/** "Why did it say that?": from a picture and a question to the answer, and from one of its words back to the features that made it. */
export function TraceView({ initial, initialView, dictionaries: known, notice, savingOff = false }: TraceViewProps) {
  const [named, setNamed] = useState(initial.dictionary);
  const dictionaries = useDictionaries(known, named);
  const dictionary = dictionaries.find(({ ref }) => ref === named);
  const choice = useWhere(dictionary);
  const where = useRef<Where>("server");
  where.current = choice.where;
  const tab = useInTab();
  const blocked = dictionary?.engine === "none" && choice.where === "server" ? `No engine here can run ${dictionary.model.name}` : null;
  // A link is no reason to fetch a model: in this tab it asks by itself only once one is loaded.
  const ready = choice.where === "server" ? blocked === null : tab.status === "ready" && tab.ref === named;
  const trace = useTrace({
    initial,
    initialView,
    where,
    mayAsk: dictionary ? (choice.known ? ready : null) : false,
    unsent: dictionary ? (choice.known ? choice.where === "tab" : null) : false,
  });
  const { state, send, view, look, link, key, run, arm, running, ask, stop, problems, uploads, linkError, request, traceSteered } = trace;
  useEffect(() => setNamed(state.dictionary), [state.dictionary]);
  /** The inputs, once there is an answer, are a line that opens. */
  const [editing, setEditing] = useState(initialView.token === null);
  const mend = useMend(where);

  const tokens = arm?.tokens ?? [];
  const answered = run.key === key && run.status === "done" && tokens.length > 0;
  const token = view.token !== null ? tokens[view.token] : undefined;
  const open = editing || (!answered && !running && run.status !== "failed");
  const compare = state.mode === "reconstruct" ? "reconstruction" : "baseline";
  const clamps = activeClamps(state.clamps);
  const sentence = armSentence({
    mode: state.mode,
    clamps,
    control: view.control,
    seed: state.sampling.seed,
    numLatents: dictionary?.numLatents ?? 0,
    arm,
  });
  const asking: Asking = {
    dictionary: state.dictionary,
    version: state.version ?? undefined,
    key,
    compare,
    traceSteered,
    request,
    steerHref: (clamps: Intervention[]) =>
      steerHref(
        state.dictionary,
        encodeSteerLink({
          ...toLink(state),
          controls: [compare],
          // Beside the clamps under which the answer was given; one on the same feature takes its place.
          clamps: [
            ...toLink(state).clamps.filter(({ feature }) => !clamps.some((one) => one.feature === feature)),
            ...clamps.map((clamp) => ({ ...clamp, muted: false, solo: false })),
          ],
        }),
        choice.where === "tab",
      ),
    uploads: () =>
      state.turns.flatMap(({ images }) => images.flatMap((image) => (image.upload ? (uploads.found[image.sha256]?.dataUrl ?? []) : []))),
    savingOff,
    where,
  };
  useTraceNote(run);

  // What one found for another question is nothing here. It began with the page: then there is none.
  const { leave } = mend;
  const mended = useRef(key);
  useEffect(() => {
    if (mended.current === key) return;
    mended.current = key;
    leave();
  }, [key, leave]);

  // Escape is first of what has the focus, which says so by preventing the default; then it ends what runs, the answer before the search.
  const mending = mend.state.status === "running";
  const latest = useRef({ running, mending, stop, stopMend: mend.stop });
  latest.current = { running, mending, stop, stopMend: mend.stop };
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const { running, mending, stop, stopMend } = latest.current;
      if (event.key !== "Escape" || event.defaultPrevented || !(running || mending)) return;
      if (document.querySelector('[role="dialog"][data-state="open"]')) return;
      event.preventDefault();
      if (running) stop();
      else stopMend();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  const nearly = useMemo(() => nearAnswers(tokens, view.token), [tokens, view.token]);

  return (
    <AskingContext value={asking}>
      <div className="mx-auto flex w-full max-w-[100rem] grow flex-col gap-4 px-4 pb-10 sm:px-6">
        <div className="flex flex-wrap items-center gap-x-2 gap-y-1 pt-2">
          <h1 className="font-semibold text-lg">Why did it say that?</h1>
          <DictionarySelect
            dictionaries={dictionaries}
            current={state.dictionary}
            onSelect={(next) => send({ type: "dictionary", ref: next.ref, version: versionOf(next) })}
          />
          <div className="ml-auto flex items-center gap-1">
            {answered && <SaveExperiment run={run} off={savingOff} pictures={asking.uploads} />}
            <TraceShare dictionary={state.dictionary} link={link} view={view} hasUpload={asking.uploads().length > 0} />
          </div>
        </div>
        <div className="flex flex-col gap-2 empty:hidden">
          {notice && <Banner>{notice}</Banner>}
          {linkError && (
            <Banner>
              {linkError.message} {linkError.fix}
            </Banner>
          )}
          {!dictionary && <Banner>The catalogue has no dictionary “{state.dictionary}”. Choose one that it has, above.</Banner>}
          {choice.where === "server" && <EngineNote dictionary={dictionary} blocked={blocked} />}
          {choice.pack && (choice.where === "tab" || open) && <WhereChoice choice={choice} />}
        </div>

        <Asked
          trace={trace}
          editing={open}
          onEdit={setEditing}
          onAsk={() => {
            if (running) return stop();
            setEditing(false);
            ask();
          }}
          blocked={blocked}
        />

        <section aria-labelledby="answer-title" className="flex flex-col gap-3">
          <h2 id="answer-title" className="sr-only">
            Answer
          </h2>
          {sentence && <p className="num max-w-3xl text-sm">{sentence}</p>}
          <div role="status" className="text-muted text-sm empty:hidden">
            {run.status === "waiting" && "Asking the engine…"}
            {run.status === "queued" && queueWords(run.position)}
            {run.status === "stopped" && "Stopped before the answer was whole."}
            {answered && token === undefined && "Press a word of the answer to see what made the model say it."}
          </div>
          {run.status === "failed" && run.error && run.key === key && <ErrorState error={run.error} onRetry={ask} className="py-4" />}
          {run.status === "waiting" && <Skeleton className="h-10 w-72" />}
          {tokens.length > 0 && (
            <AnswerWords
              tokens={tokens}
              chosen={token ? view.token : null}
              onChoose={(place) => look({ token: place, metric: { type: "usual" }, feature: null })}
            />
          )}
          {answered && token && <MetricChoice token={token} metric={view.metric} onChoose={(metric) => look({ metric, feature: null })} />}
          {answered && view.token !== null && !token && (
            <p className="text-muted text-sm">The address names word {view.token + 1}, and this answer has fewer. Press one that it has.</p>
          )}
          {!answered && !running && run.status === "idle" && problems.length === 0 && (
            <EmptyState icon={<MessageCircleQuestion />} title="No answer yet" className="py-6">
              {blocked !== null
                ? `${blocked}: choose another dictionary, above.`
                : "Ask, then press a word of the answer: the features that made the model say it are ranked here, with where they were seen."}
            </EmptyState>
          )}
        </section>

        <MendNote mend={mend} shown={answered && token !== undefined && view.view === "mend"} onShow={() => look({ view: "mend" })} />
        {answered && token && !trace.ready && (
          <p className="text-muted text-sm">
            The uploaded picture of this question is not in this browser: press Change and choose it again to trace its answer.
          </p>
        )}
        {answered && token && dictionary && choice.known && trace.ready && (
          <Explained
            key={`${key} ${view.token} ${JSON.stringify(view.metric)} ${view.steps}`}
            trace={trace}
            mend={mend}
            dictionary={dictionary}
            tokens={tokens}
            place={view.token ?? 0}
            answer={arm ? textOf(arm) : ""}
            nearly={nearly}
          />
        )}
      </div>
    </AskingContext>
  );
}
