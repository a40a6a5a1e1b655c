import { useState } from "react";
import { ScoreBar } from "@/components/charts/score-bar";
import { Badge } from "@/components/ui/badge";
import { Term } from "@/components/ui/term";
import { formatCount, formatScore } from "@/lib/core/format";
import type { Explanation, Score } from "@/lib/core/records";
import { againstRandom, dayOf, methodOf, orderExplanations, scoreName, scoreScale } from "./facts";

/** Every explanation with who wrote it, how, when, and how well it does. Failures are shown as failures. */
export function Explanations({ explanations, dead }: { explanations: Explanation[]; dead: boolean }) {
  if (explanations.length === 0) {
    return <p className="text-muted text-sm">{dead ? "There is nothing to explain: it never fires." : "Nobody has explained it yet."}</p>;
  }
  return (
    <ul className="divide-y divide-line">
      {orderExplanations(explanations).map((explanation) => (
        <li key={explanation.id} className="py-3 first:pt-0 last:pb-0">
          <ExplanationEntry explanation={explanation} />
        </li>
      ))}
    </ul>
  );
}

/** Beyond this an explanation would push everything else off the page; some explainers go on for pages. */
const longText = 1_200;
const shownOfLong = 600;

function ExplanationText({ text }: { text: string }) {
  const [open, setOpen] = useState(false);
  const long = text.length > longText;
  const shown = long && !open ? `${Array.from(text.slice(0, shownOfLong)).slice(0, -1).join("")}…` : text;
  return (
    <div>
      <p dir="auto" className="break-words">
        {shown}
      </p>
      {long && (
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} className="rounded-sm py-1 text-accent text-sm">
          {open ? "Show its beginning" : `Show all ${formatCount(text.length)} characters`}
        </button>
      )}
    </div>
  );
}

function ExplanationEntry({ explanation }: { explanation: Explanation }) {
  const method = methodOf(explanation.method);
  const failed = explanation.text === null;
  return (
    <article className="space-y-2">
      {failed ? (
        <p dir="auto" className="break-words text-sm">
          <Badge tone="bad">Failed</Badge> {explanation.failure ?? "No text came back, and no reason was recorded."}
        </p>
      ) : (
        <ExplanationText text={explanation.text ?? ""} />
      )}
      <p className="break-words text-[0.8125rem] text-muted">
        {method.explains ? <Term explain={method.explains}>{method.name}</Term> : method.name}
        {" · "}
        {explanation.author}
        {" · "}
        <time dateTime={explanation.createdAt}>{dayOf(explanation.createdAt)}</time>
        {explanation.preferred && " · shown in lists"}
      </p>
      {explanation.scores.length > 0 && (
        <dl className="space-y-1.5 text-sm">
          {explanation.scores.map((score) => (
            <ScoreLine key={score.metric} score={score} />
          ))}
        </dl>
      )}
      {explanation.prompt && (
        <details className="text-sm">
          <summary className="w-fit cursor-pointer rounded-sm py-1 text-accent">Prompt</summary>
          <p dir="auto" className="mt-1 whitespace-pre-wrap break-words rounded-md bg-sunken p-3 font-mono text-[0.8125rem]">
            {explanation.prompt}
          </p>
        </details>
      )}
    </article>
  );
}

const standing = { above: "above random", level: "no better than random", below: "below random" } as const;

function ScoreLine({ score }: { score: Score }) {
  const scale = scoreScale(score.metric);
  const { name, explains } = scoreName(score.metric);
  const against = againstRandom(score);
  return (
    <div className="grid grid-cols-[5.5rem_minmax(2rem,1fr)_auto] items-center gap-x-3">
      <dt className="text-muted">
        <Term explain={[explains, score.method].filter(Boolean).join(" ")}>{name}</Term>
      </dt>
      {score.value === null ? (
        <dd className="col-span-2 break-words">
          <Badge tone="bad">Failed</Badge> {score.failure ?? "not measured"}{" "}
          <span className="num text-muted">n = {formatCount(score.n)}</span>
        </dd>
      ) : (
        <>
          <dd aria-hidden>
            <ScoreBar value={score.value / scale} baseline={score.baseline === null ? null : score.baseline / scale} />
          </dd>
          <dd className="num whitespace-nowrap text-right">
            {formatScore(score.value)}{" "}
            <span className="text-[0.8125rem] text-muted" title={against ? standing[against] : undefined}>
              {score.baseline !== null && <>random {formatScore(score.baseline)} · </>}n = {formatCount(score.n)}
            </span>
            {against && against !== "above" && <span className="block text-[0.8125rem] text-warn">{standing[against]}</span>}
          </dd>
        </>
      )}
    </div>
  );
}
