"use client";
import { MessageSquareText, TriangleAlert } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/empty-state";
import { Tooltip } from "@/components/ui/tooltip";
import { markTokens } from "@/lib/core/word-diff";
import { Answer } from "./answer";
import { armNames } from "./arm-words";
import { doseCurve } from "./dose";
import { type DoseActions, DosePanel } from "./dose-panel";
import { type ArmRun, isActive, isSweepArm, queueWords, type RunState, textOf } from "./run-state";

interface AnswersPanelProps {
  run: RunState;
  /** The request has changed since it was run. */
  stale: boolean;
  clamps: number;
  onRun: () => void;
  /** Why nothing can be run here; left out or null where it can. */
  blocked?: string | null;
  /** `<model>/<dictionary>` of the request; the receipts' where left out. */
  dictionary?: string;
  /** What of a dose curve may be changed here; nothing where left out. */
  dose?: DoseActions;
}

const words = (arm: ArmRun) => arm.tokens.map((token) => token.text);

/** The arms of the last run, as they stream: steered large, the plain model beside it, further controls below. */
export function AnswersPanel({ run, stale, clamps, onRun, blocked = null, dictionary, dose }: AnswersPanelProps) {
  const running = isActive(run);
  // An arm that ended before it began has nothing to show.
  const arms = run.arms.filter((arm) => running || arm.tokens.length > 0 || arm.receipt);
  const steered = arms.find((arm) => arm.arm === "steered");
  const baseline = arms.find((arm) => arm.arm === "baseline");
  const controls = arms.filter(({ arm }) => arm !== "steered" && arm !== "baseline" && !isSweepArm(arm));
  const compared = useMemo(() => run.arms.filter(({ arm }) => !isSweepArm(arm)), [run.arms]);
  const curve = useMemo(() => doseCurve(run), [run]);
  const receipt = steered?.receipt;
  const ref = dictionary ?? (receipt ? `${receipt.model.id}/${receipt.dictionary.id}` : undefined);
  const shared = { arms: compared, dictionary: ref };
  const marks = useMemo(
    () => (steered?.receipt && baseline?.receipt ? markTokens(words(steered), words(baseline)) : null),
    [steered, baseline],
  );
  return (
    <div className="@container flex flex-col gap-5">
      {run.status === "idle" ? (
        <EmptyState
          icon={<MessageSquareText />}
          title="No answer yet"
          action={
            blocked === null && (
              <Button variant="primary" onClick={onRun}>
                Run
              </Button>
            )
          }
        >
          {blocked !== null
            ? `${blocked}. Answers come here once a dictionary is chosen whose model is.`
            : clamps
              ? "Run to read what the model answers with the clamps, and without them, side by side."
              : "Run to read the model's plain answer, or add a feature to clamp first."}
        </EmptyState>
      ) : (
        <>
          <Notices run={run} stale={stale} onRun={onRun} blocked={blocked} />
          <div className="grid gap-6 @xl:grid-cols-[minmax(0,1.35fr)_minmax(0,1fr)]">
            {steered && (
              <Answer
                {...shared}
                run={steered}
                running={running && !steered.receipt}
                differs={marks?.left ?? null}
                other="the baseline"
                size="large"
              />
            )}
            {baseline && (
              <Answer
                {...shared}
                run={baseline}
                running={running && !baseline.receipt}
                differs={marks?.right ?? null}
                other="the steered answer"
                size="normal"
              />
            )}
          </div>
          {steered?.receipt?.outcome === "steered" && baseline?.receipt && textOf(steered) === textOf(baseline) && (
            <Note>The hidden state was changed, and yet the answer is the same. Try a greater strength or a wider scope.</Note>
          )}
          {controls.length > 0 && (
            <section aria-labelledby="controls-title" className="border-line border-t pt-4">
              <h2 id="controls-title" className="mb-3 font-medium text-sm">
                Controls
              </h2>
              <div className="grid gap-5 @xl:grid-cols-2">
                {controls.map((arm) => (
                  <Compared key={arm.arm} {...shared} arm={arm} to={baseline} running={running && !arm.receipt} />
                ))}
              </div>
            </section>
          )}
          {curve && ref && (
            <DosePanel
              curve={curve}
              dictionary={ref}
              baseline={baseline}
              arms={compared}
              running={running}
              unwatched={run.unwatched ?? []}
              actions={dose ?? null}
            />
          )}
        </>
      )}
    </div>
  );
}

interface ComparedProps {
  arm: ArmRun;
  to: ArmRun | undefined;
  running: boolean;
  arms: readonly ArmRun[];
  dictionary: string | undefined;
}

/** A control beside the plain answer: its words are marked where that lacks them. */
function Compared({ arm, to, running, ...shared }: ComparedProps) {
  const marks = useMemo(() => (arm.receipt && to?.receipt ? markTokens(words(arm), words(to)).left : null), [arm, to]);
  return <Answer {...shared} run={arm} running={running} differs={marks} other={armNames.baseline.name.toLowerCase()} size="small" />;
}

function Note({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 rounded-md bg-sunken px-3 py-2 text-muted text-sm">
      <span className="min-w-0 grow basis-48">{children}</span>
      {action}
    </div>
  );
}

/** Where nothing can be run it can still be reached, to say why. */
function RunAgain({ onRun, blocked }: { onRun: () => void; blocked: string | null }) {
  const button = (
    <Button size="sm" aria-disabled={blocked !== null || undefined} onClick={onRun}>
      Run again
    </Button>
  );
  return blocked === null ? button : <Tooltip content={`${blocked}: choose another dictionary`}>{button}</Tooltip>;
}

type NoticesProps = Pick<AnswersPanelProps, "run" | "stale" | "onRun"> & { blocked: string | null };

function Notices({ run, stale, onRun, blocked }: NoticesProps) {
  const unknown = run.prompt?.unknown ?? [];
  return (
    <>
      {run.status === "waiting" && <Note>Asking the engine…</Note>}
      {run.status === "queued" && <Note>{queueWords(run.position)} It starts by itself; Stop leaves the queue.</Note>}
      {run.error && run.status === "failed" && (
        <div role="alert" className="flex gap-3 rounded-md bg-raised p-3 ring-1 ring-bad">
          <TriangleAlert className="mt-0.5 size-5 shrink-0 text-bad" aria-hidden />
          <div className="min-w-0">
            <p className="font-medium">{run.error.message}</p>
            <p className="mt-0.5 text-muted text-sm">{run.error.fix}</p>
            <p className="mt-2 flex flex-wrap items-center gap-3">
              {run.error.retry && <RunAgain onRun={onRun} blocked={blocked} />}
              <code className="font-mono text-muted text-xs">{run.error.code}</code>
            </p>
          </div>
        </div>
      )}
      {run.status === "stopped" && (
        <Note>
          {run.arms.some((arm) => arm.tokens.length)
            ? "Stopped. What was written until then is below, without its receipt."
            : "Stopped before the first token."}
        </Note>
      )}
      {stale && run.status !== "waiting" && (
        <Note action={<RunAgain onRun={onRun} blocked={blocked} />}>
          The request has changed since; these are the answers to the one before.{blocked !== null && ` ${blocked}, so they stay.`}
        </Note>
      )}
      {unknown.length > 0 && (
        <Note>
          {unknown.length === 1 ? "The model does not know the word " : "The model does not know the words "}
          {unknown.map((word, i) => (
            <span key={word}>
              {i > 0 && ", "}
              <q className="text-ink">{word}</q>
            </span>
          ))}
          , and reads {unknown.length === 1 ? "it" : "them"} as a blank.
        </Note>
      )}
    </>
  );
}
