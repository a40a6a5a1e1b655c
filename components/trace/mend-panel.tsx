"use client";
import { CircleCheck, CircleSlash, Square, Wrench } from "lucide-react";
import Link from "next/link";
import { type FormEvent, useId, useMemo, useState } from "react";
import { describeScope, describeStrength } from "@/components/steer/clamp-words";
import { Fold } from "@/components/steer/fold";
import { Button } from "@/components/ui/button";
import { Chip } from "@/components/ui/chip";
import { Input, Textarea } from "@/components/ui/input";
import { LinkButton } from "@/components/ui/link-button";
import { formatIndex, formatNoun, formatPercent, formatSeconds } from "@/lib/core/format";
import { type Mending, type MendProgress, plainAnswer, saysRight, scopeOf } from "@/lib/core/mend";
import { type PanelQuestion, panelOf } from "@/lib/core/mend-panel";
import type { GenerateRequest, Intervention } from "@/lib/core/protocol";
import { routes, splitRef } from "@/lib/core/routes";
import { AskAgain } from "./ask-again";
import type { RankedRow } from "./contributions";
import type { PanelOutcome } from "./steer-answers";
import { clampsKey, type MendState, useMend } from "./use-mend";

interface MendPanelProps {
  dictionary: string;
  version: string | undefined;
  /** The request's link text, which names its runs. */
  link: string;
  /** The model's whole answer. */
  answer: string;
  /** Answers that it nearly gave: its likeliest other tokens, after what it had said before them. */
  nearly: string[];
  rows: readonly RankedRow[];
  request: (over?: Partial<GenerateRequest>) => GenerateRequest;
  /** The sandbox's address with these clamps. */
  steerHref: (clamps: Intervention[]) => string;
  uploads: () => string[];
  savingOff: boolean;
}

/** How many of the top contributors are tried. */
const tried = 12;
const ownLimit = 20;

/** Given the right answer, looks for the smallest set of clamps that brings it, and shows what else they change. */
export function MendPanel(props: MendPanelProps) {
  const { dictionary, version, answer, nearly, rows, request } = props;
  const id = useId();
  const [right, setRight] = useState("");
  const [own, setOwn] = useState("");
  const { state, start, stop } = useMend();
  const fixed = useMemo(() => panelOf(splitRef(dictionary).model), [dictionary]);
  const questions = useMemo<PanelQuestion[]>(() => {
    const lines = own.split("\n").flatMap((line) => (line.trim() ? [{ image: null, text: line.trim() }] : []));
    return [...fixed, ...lines.slice(0, ownLimit)];
  }, [fixed, own]);
  const running = state.status === "running";
  const already = right.trim() !== "" && saysRight(answer, right);
  const candidates = rows.slice(0, tried);
  const ready = right.trim() !== "" && !already && candidates.length > 0;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (running) return stop();
    if (!ready) return;
    void start({
      dictionary,
      version,
      wrong: answer,
      right: right.trim(),
      candidates: candidates.map(({ feature, value, image, text }) => ({ feature, contribution: value, scope: scopeOf(image, text) })),
      questions,
      request,
    });
  };
  return (
    <section aria-labelledby={`${id}-title`} className="flex max-w-3xl flex-col gap-4">
      <div>
        <h3 id={`${id}-title`} className="font-medium">
          Mend it
        </h3>
        <p className="text-muted text-sm">
          Say what is right. The smallest set of clamps that brings that answer is looked for among the first {candidates.length} features
          of the list, and its cost is counted on other questions.
        </p>
      </div>
      <form onSubmit={submit} className="flex flex-col gap-3">
        <div className="flex flex-wrap items-end gap-2">
          <div className="min-w-48 grow">
            <label htmlFor={`${id}-right`} className="mb-1 block font-medium text-sm">
              The right answer
            </label>
            <Input
              id={`${id}-right`}
              value={right}
              maxLength={200}
              dir="auto"
              placeholder={nearly[0] ?? "no"}
              aria-describedby={`${id}-note`}
              onChange={(event) => setRight(event.target.value)}
            />
          </div>
          <Button type="submit" variant={running ? "secondary" : "primary"} aria-disabled={(!ready && !running) || undefined}>
            {running ? <Square aria-hidden /> : <Wrench aria-hidden />}
            {running ? "Stop" : "Mend it"}
          </Button>
        </div>
        <p id={`${id}-note`} className="text-muted text-sm empty:hidden">
          {already ? "That is what the model says already." : "An answer counts as right if it begins with these words."}
        </p>
        {nearly.length > 0 && (
          <fieldset className="flex flex-wrap items-center gap-1.5">
            <legend className="sr-only">Answers that the model nearly gave</legend>
            <span className="text-muted text-sm" aria-hidden>
              It nearly said
            </span>
            {nearly.map((text) => (
              <Chip key={text} pressed={right === text} onClick={() => setRight(text)} dir="auto">
                {text}
              </Chip>
            ))}
          </fieldset>
        )}
        <Fold
          title="Other questions"
          summary={questions.length ? `${questions.length} show what else changes` : "none: what the clamps cost is not counted"}
        >
          {fixed.length > 0 && (
            <p className="text-muted text-sm">
              {fixed.length} questions about other pictures of the catalogue, always the same, of every kind that this model was taught.
            </p>
          )}
          <label htmlFor={`${id}-own`} className="mt-2 mb-1 block text-sm">
            Your own, about this picture, one a line (at most {ownLimit})
          </label>
          <Textarea id={`${id}-own`} rows={3} value={own} dir="auto" onChange={(event) => setOwn(event.target.value)} />
        </Fold>
      </form>
      <MendOutcome {...props} right={right} state={state} panelSize={questions.length} />
    </section>
  );
}

function progressWords({ size, phase, done, total, found }: MendProgress, asked: number, panelSize: number): string {
  const sets = size === 1 ? "single clamps" : size === 2 ? "pairs" : `sets of ${size}`;
  if (phase === "search") return `Trying ${sets}: ${done} of ${total}, ${found} right so far.`;
  return `Counting what it costs: set ${done + 1} of ${total}, question ${asked} of ${panelSize}.`;
}

function MendOutcome({ state, right, panelSize, ...props }: MendPanelProps & { state: MendState; right: string; panelSize: number }) {
  const { progress, result, error } = state;
  const [picked, setPicked] = useState(0);
  const chosen = result?.found[Math.min(picked, (result?.found.length ?? 1) - 1)];
  return (
    <div className="flex flex-col gap-4">
      <div role="status" className="num text-sm empty:hidden">
        {state.status === "running" && (
          <>
            <p>{progress ? progressWords(progress, state.asked, panelSize) : "Beginning…"}</p>
            <progress
              className="mt-2 h-1.5 w-full max-w-md accent-accent"
              aria-label="How far the search is"
              value={progress ? (progress.phase === "panel" ? state.asked : progress.done) : 0}
              max={progress ? (progress.phase === "panel" ? Math.max(1, panelSize) : progress.total) : 1}
            />
          </>
        )}
        {state.status === "stopped" && <p className="text-muted">Stopped. Nothing was kept of the search.</p>}
        {state.status === "done" && result && result.found.length === 0 && (
          <p className="flex items-start gap-2">
            <CircleSlash className="mt-0.5 size-5 shrink-0 text-warn" aria-hidden />
            <span>
              No set of up to {formatNoun(result.size, "clamp")} brings “{right.trim()}”, of {result.answers} tried in{" "}
              {formatSeconds(state.took / 1000)}.{result.nearest && ` The nearest answered “${result.nearest.answer.text.trim()}”.`} Try
              another wording, or rank other features.
            </span>
          </p>
        )}
        {state.status === "done" && result && chosen && (
          <p className="flex items-start gap-2 text-base">
            <CircleCheck className="mt-0.5 size-5 shrink-0 text-good" aria-hidden />
            <span>
              <strong className="font-semibold">{formatNoun(result.size, "clamp")}</strong> {result.size === 1 ? "is" : "are"} enough: the
              model answers “{chosen.answer.text.trim()}”. <CostWords mending={chosen} panelSize={panelSize} />{" "}
              <span className="text-muted text-sm">
                Found among {result.answers} answers in {formatSeconds(state.took / 1000)}.
              </span>
            </span>
          </p>
        )}
      </div>
      {error && (
        <p role="alert" className="text-bad text-sm">
          {error.message} {error.fix}
        </p>
      )}
      {state.status === "done" && chosen && result && (
        <>
          {result.found.length > 1 && (
            <fieldset className="flex flex-wrap gap-1.5">
              <legend className="mb-1 text-muted text-sm">Sets of this size that answer right</legend>
              {result.found.slice(0, 6).map((mending, i) => (
                <Chip
                  key={clampsKey(mending.clamps)}
                  pressed={mending === chosen}
                  onClick={() => setPicked(i)}
                  count={mending.harm === null ? undefined : `${formatPercent(mending.harm)} changed`}
                >
                  {mending.clamps.map((clamp) => nameOfClamp(clamp, props.rows)).join(" + ")}
                </Chip>
              ))}
            </fieldset>
          )}
          <Chosen key={clampsKey(chosen.clamps)} {...props} mending={chosen} outcomes={state.panel[clampsKey(chosen.clamps)] ?? []} />
        </>
      )}
    </div>
  );
}

const nameOfClamp = (clamp: Intervention, rows: readonly RankedRow[]) =>
  `${rows.find(({ feature }) => feature === clamp.feature)?.label ?? formatIndex(clamp.feature)} ${describeStrength(clamp)}`;

function CostWords({ mending, panelSize }: { mending: Mending; panelSize: number }) {
  if (mending.harm === null || panelSize === 0) return "What else it changes was not counted.";
  const changed = Math.round(mending.harm * panelSize);
  if (changed === 0) return `None of ${panelSize} other answers changes.`;
  return `${changed} of ${panelSize} other answers change${changed === 1 ? "s" : ""} (${formatPercent(mending.harm)}).`;
}

interface ChosenProps extends MendPanelProps {
  mending: Mending;
  outcomes: readonly PanelOutcome[];
}

function Chosen({ mending, outcomes, rows, dictionary, link, steerHref, request, uploads, savingOff }: ChosenProps) {
  const changed = outcomes.filter(({ before, after }) => plainAnswer(before) !== plainAnswer(after));
  const { clamps } = mending;
  return (
    <>
      <ul aria-label="Clamps that mend it" className="flex flex-col gap-1 text-sm">
        {clamps.map((clamp) => (
          <li key={clamp.feature}>
            <Link href={routes.feature(dictionary, clamp.feature)} className="rounded-sm text-accent underline-offset-4 hover:underline">
              <span dir="auto">{rows.find(({ feature }) => feature === clamp.feature)?.label ?? "unexplained feature"}</span>{" "}
              <span className="font-mono text-xs">{formatIndex(clamp.feature)}</span>
            </Link>{" "}
            {describeStrength(clamp)}, {describeScope(clamp.scope)}
          </li>
        ))}
      </ul>
      {changed.length > 0 && (
        <Fold title="What else changes" summary={formatNoun(changed.length, "answer")} open>
          <ul className="flex flex-col gap-2 text-sm">
            {changed.map(({ question, before, after }) => (
              <li key={`${question.image}${question.text}`} className="flex items-start gap-3">
                {question.image && (
                  // biome-ignore lint/performance/noImgElement: content-addressed and already small
                  <img src={routes.api.image(question.image)} alt="" className="size-10 shrink-0 rounded bg-sunken object-contain" />
                )}
                <span className="min-w-0">
                  <span dir="auto" className="block text-muted">
                    {question.text}
                  </span>
                  <span dir="auto">“{before.trim()}”</span> → <span dir="auto">“{after.trim()}”</span>
                </span>
              </li>
            ))}
          </ul>
        </Fold>
      )}
      <div className="flex flex-wrap gap-2">
        <LinkButton size="sm" href={steerHref(clamps)}>
          Open in the sandbox
        </LinkButton>
      </div>
      <AskAgain
        name={`${link} ${clampsKey(clamps)}`}
        dictionary={dictionary}
        clamps={clamps}
        request={request}
        uploads={uploads}
        savingOff={savingOff}
        action="Ask with these clamps"
        auto
      />
    </>
  );
}
