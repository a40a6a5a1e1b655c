"use client";
import { CircleCheck, TriangleAlert } from "lucide-react";
import { AnswersPanel } from "@/components/steer/answers-panel";
import { armWords } from "@/components/steer/arm-words";
import { queueWords } from "@/components/steer/run-state";
import { formatNoun } from "@/lib/core/format";
import { describeDifference, describeVerdict, type TokenDifference } from "@/lib/core/replay";
import type { Replay } from "./use-replay";

function progressWords({ run }: Replay): string {
  if (run.status === "waiting") return "Asking the engine…";
  if (run.status === "queued") return queueWords(run.position);
  const tokens = run.arms.reduce((sum, arm) => sum + arm.tokens.length, 0);
  return `Running it again: ${formatNoun(tokens, "token")} so far.`;
}

const quoted = (text: string | null) => (text === null ? "the end" : `“${text.trim() || text}”`);

function where({ arm, at, saved, now }: TokenDifference): string {
  return `${armWords(arm).name}: token ${at + 1} was ${quoted(saved)} and is now ${quoted(now)}.`;
}

/** What became of running the experiment again: whether it matched, or what differs. */
export function ReplayPanel({ replay }: { replay: Replay }) {
  const { run, running, verdict } = replay;
  if (run.status === "idle") return null;
  const good = verdict?.sameTokens && verdict.hashes.length === 0;
  return (
    <section aria-labelledby="replay-title" className="rounded-lg bg-raised p-4 ring-1 ring-line">
      <h2 id="replay-title" className="sr-only">
        Replay
      </h2>
      <div role="status">
        {running && <p className="num">{progressWords(replay)}</p>}
        {run.status === "stopped" && <p>Stopped, so there is nothing to compare.</p>}
        {run.status === "failed" && run.error && (
          <p>
            <TriangleAlert className="mr-2 inline size-5 text-bad" aria-hidden />
            It could not be run again. {run.error.message} <span className="text-muted">{run.error.fix}</span>
          </p>
        )}
        {verdict && (
          <>
            <p className="num flex items-start gap-2 font-medium">
              {good ? (
                <CircleCheck className="mt-0.5 size-5 shrink-0 text-good" aria-hidden />
              ) : (
                <TriangleAlert className="mt-0.5 size-5 shrink-0 text-warn" aria-hidden />
              )}
              {describeVerdict(verdict)}
            </p>
            <ul className="mt-1 flex flex-col gap-1 pl-7 text-sm [&:empty]:hidden">
              {verdict.hashes.map((one) => (
                <li key={`${one.what}${one.at ?? ""}`} className="break-words">
                  {describeDifference(one)}
                </li>
              ))}
              {verdict.differing.map((one) => (
                <li key={one.arm} className="break-words">
                  {where(one)}
                </li>
              ))}
            </ul>
            {good && (
              <p className="num pl-7 text-muted text-sm">
                Model, dictionary, pictures, prompt and engine are the ones that it was saved with.
              </p>
            )}
          </>
        )}
      </div>
      {verdict && !verdict.sameTokens && (
        <div className="mt-4 border-line border-t pt-4">
          <h3 className="mb-2 font-medium text-sm">What it answers now</h3>
          <AnswersPanel run={run} stale={false} clamps={0} onRun={replay.start} />
        </div>
      )}
    </section>
  );
}
