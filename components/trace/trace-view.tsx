"use client";
import { useQuery } from "@tanstack/react-query";
import { MessageCircleQuestion, Play, Square } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { SaveExperiment } from "@/components/experiment/save-experiment";
import { Banner } from "@/components/steer/banner";
import { ChatInput } from "@/components/steer/chat-input";
import { DictionarySelect } from "@/components/steer/dictionary-select";
import { EngineNote, useDictionaries } from "@/components/steer/engine-note";
import { PictureInput } from "@/components/steer/picture-input";
import { queueWords, textOf } from "@/components/steer/run-state";
import { toLink } from "@/components/steer/state";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { Skeleton } from "@/components/ui/skeleton";
import { imageInfoQueryOptions } from "@/lib/api/images";
import { inPrint } from "@/lib/core/format";
import type { Intervention } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { encodeSteerLink, type SteerLink, steerHref } from "@/lib/core/steer-link";
import type { TraceView as View } from "@/lib/core/trace-link";
import { AnswerWords } from "./answer-words";
import { Explained } from "./explained";
import { MetricChoice } from "./metric-choice";
import { TraceShare } from "./trace-share";
import { type TraceState, useTrace } from "./use-trace";
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
  const trace = useTrace({ initial, initialView });
  const { state, send, view, look, link, run, running, ask, stop, problems, uploads, linkError, request } = trace;
  const dictionaries = useDictionaries(known, state.dictionary);
  const dictionary = dictionaries.find(({ ref }) => ref === state.dictionary);
  const blocked = dictionary?.engine === "none" ? `No engine here can run ${dictionary.model.name}` : null;
  /** The inputs, once there is an answer, are a line that opens. */
  const [editing, setEditing] = useState(initialView.token === null);

  const arm = run.key === link ? run.arms[0] : undefined;
  const tokens = arm?.tokens ?? [];
  const answered = run.key === link && run.status === "done" && tokens.length > 0;
  const token = view.token !== null ? tokens[view.token] : undefined;
  const steerWith = (clamps: Intervention[]) =>
    steerHref(
      state.dictionary,
      encodeSteerLink({
        ...toLink(state),
        controls: ["baseline"],
        // Beside the clamps under which the answer was given; one on the same feature takes its place.
        clamps: [
          ...toLink(state).clamps.filter(({ feature }) => !clamps.some((one) => one.feature === feature)),
          ...clamps.map((clamp) => ({ ...clamp, muted: false, solo: false })),
        ],
      }),
    );
  const uploaded = () =>
    state.turns.flatMap(({ images }) => images.flatMap((image) => (image.upload ? (uploads.found[image.sha256]?.dataUrl ?? []) : [])));
  useTraceNote(run);
  // Escape is first of what has the focus, which says so by preventing the default.
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || !running || document.querySelector('[role="dialog"][data-state="open"]'))
        return;
      event.preventDefault();
      stop();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [running, stop]);
  const nearly = useMemo(() => nearAnswers(tokens, view.token), [tokens, view.token]);

  return (
    <div className="mx-auto flex w-full max-w-[100rem] grow flex-col gap-4 px-4 pb-10 sm:px-6">
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1 pt-2">
        <h1 className="font-semibold text-lg">Why did it say that?</h1>
        <DictionarySelect
          dictionaries={dictionaries}
          current={state.dictionary}
          onSelect={(next) => send({ type: "dictionary", ref: next.ref, version: versionOf(next) })}
        />
        <div className="ml-auto flex items-center gap-1">
          {answered && <SaveExperiment run={run} off={savingOff} pictures={uploaded} />}
          <TraceShare dictionary={state.dictionary} link={link} view={view} hasUpload={uploaded().length > 0} />
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
        <EngineNote dictionary={dictionary} blocked={blocked} />
      </div>

      <Asked
        trace={trace}
        editing={editing || (!answered && !running && run.status !== "failed")}
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
        <div role="status" className="text-muted text-sm empty:hidden">
          {run.status === "waiting" && "Asking the engine…"}
          {run.status === "queued" && queueWords(run.position)}
          {run.status === "stopped" && "Stopped before the answer was whole."}
          {answered && token === undefined && "Press a word of the answer to see what made the model say it."}
        </div>
        {run.status === "failed" && run.error && run.key === link && <ErrorState error={run.error} onRetry={ask} className="py-4" />}
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
            Ask, then press a word of the answer: the features that made the model say it are ranked here, with where they were seen.
          </EmptyState>
        )}
      </section>

      {answered && token && !trace.ready && (
        <p className="text-muted text-sm">
          The uploaded picture of this question is not in this browser: press Change and choose it again to trace its answer.
        </p>
      )}
      {answered && token && dictionary && trace.ready && (
        <Explained
          key={`${link} ${view.token} ${JSON.stringify(view.metric)}`}
          trace={trace}
          dictionary={dictionary}
          tokens={tokens}
          place={view.token ?? 0}
          answer={arm ? textOf(arm) : ""}
          nearly={nearly}
          request={request}
          steerHref={steerWith}
          uploads={uploaded}
          savingOff={savingOff}
        />
      )}
    </div>
  );
}

/** What the model nearly said: at the word that is looked at, each likely other token after what was said before it. */
function nearAnswers(
  tokens: readonly { id: number; text: string; alternatives: { id: number; text: string }[] }[],
  place: number | null,
): string[] {
  const token = place === null ? undefined : tokens[place];
  if (!token || place === null) return [];
  const before = tokens
    .slice(0, place)
    .map(({ text }) => text)
    .join("");
  const texts = token.alternatives.filter(({ id, text }) => id !== token.id && /[\p{L}\p{N}]/u.test(text) && !/[<>]/.test(text));
  return [...new Set(texts.map(({ text }) => `${before}${text}`.trim()))].slice(0, 4);
}

interface AskedProps {
  trace: TraceState;
  editing: boolean;
  onEdit: (editing: boolean) => void;
  onAsk: () => void;
  blocked: string | null;
}

/** What is asked: in a line once there is an answer, with all its inputs before that or on demand. */
function Asked({ trace, editing, onEdit, onAsk, blocked }: AskedProps) {
  const { state, send, running, problems, uploads } = trace;
  const first = state.turns[0];
  const image = first?.images[0];
  const info = useQuery({ ...imageInfoQueryOptions(image?.sha256 ?? ""), enabled: image !== undefined && !image.upload }).data;
  const question = state.turns.at(-1)?.text ?? "";
  const src = image ? (image.upload ? uploads.found[image.sha256]?.dataUrl : routes.api.image(image.sha256)) : undefined;
  const pictureProblem = (turn: number) => problems.find(({ at }) => at.part === "picture" && at.turn === turn);
  const button = (
    <Button
      variant={editing && !running ? "primary" : "secondary"}
      aria-disabled={blocked !== null || undefined}
      onClick={() => blocked === null && onAsk()}
    >
      {running ? <Square aria-hidden /> : <Play aria-hidden />}
      {running ? "Stop" : "Ask"}
    </Button>
  );
  if (!editing) {
    return (
      <section aria-label="Asked" className="flex flex-wrap items-center gap-3 rounded-lg bg-sunken px-3 py-2">
        {src && (
          // biome-ignore lint/performance/noImgElement: content-addressed or of this browser; nothing to optimise
          <img src={src} alt={inPrint(info?.caption) ?? "the picture"} className="size-12 rounded bg-raised object-contain" />
        )}
        <p dir="auto" className="min-w-0 grow break-words">
          {question}
        </p>
        <Button variant="ghost" size="sm" onClick={() => onEdit(true)}>
          Change
        </Button>
        {running && button}
      </section>
    );
  }
  return (
    <section
      aria-label="Ask"
      className="grid gap-4 md:grid-cols-[13rem_minmax(0,34rem)]"
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          if (!running && blocked === null) onAsk();
        }
      }}
    >
      {first && (
        <div className={cn("max-w-52")}>
          <PictureInput
            turn={first}
            place={1}
            before={0}
            dictionary={state.dictionary}
            uploads={uploads}
            problem={pictureProblem(first.id)}
            send={send}
          />
        </div>
      )}
      <div className="flex flex-col gap-3">
        <ChatInput
          turns={state.turns}
          caption={info?.caption ?? null}
          label={null}
          lastAnswer={null}
          problem={problems.find(({ at }) => at.part === "prompt")}
          pictureProblem={pictureProblem}
          dictionary={state.dictionary}
          uploads={uploads}
          send={send}
        />
        <div>{button}</div>
      </div>
    </section>
  );
}
