"use client";
import type { RunToken } from "@/components/steer/run-state";
import { Chip } from "@/components/ui/chip";
import { Term } from "@/components/ui/term";
import { formatPercent } from "@/lib/core/format";
import type { TraceMetric } from "@/lib/core/trace-link";

interface MetricChoiceProps {
  token: RunToken;
  metric: TraceMetric;
  onChoose: (metric: TraceMetric) => void;
}

/** The token's likeliest alternative, which it is compared with unless another is chosen; undefined where the engine gave none. */
export const likeliestOther = (token: RunToken) => token.alternatives.find(({ id }) => id !== token.id);

/** How many alternatives are offered. */
const offered = 5;

/** What the token is compared with: another that the model might have written, nothing, or the whole answer at once. */
export function MetricChoice({ token, metric, onChoose }: MetricChoiceProps) {
  const others = token.alternatives.filter(({ id }) => id !== token.id);
  const usual = others[0];
  const shown = others.slice(0, offered);
  const chosen = metric.type === "against" ? metric.token : metric.type === "usual" ? (usual?.id ?? null) : null;
  // An address may name an alternative further down.
  const named = metric.type === "against" ? others.slice(offered).find(({ id }) => id === metric.token) : undefined;
  return (
    <fieldset className="flex flex-wrap items-center gap-1.5">
      <legend className="sr-only">What “{token.text.trim()}” is compared with</legend>
      <span className="mr-1 text-muted text-sm" aria-hidden>
        and not
      </span>
      {[...shown, ...(named ? [named] : [])].map(({ id, text, logprob }) => (
        <Chip
          key={id}
          pressed={chosen === id}
          count={formatPercent(Math.exp(logprob))}
          onClick={() => onChoose(id === usual?.id ? { type: "usual" } : { type: "against", token: id })}
        >
          <span dir="auto">{text.trim() || "␣"}</span>
        </Chip>
      ))}
      <Chip pressed={metric.type === "logit"} onClick={() => onChoose({ type: "logit" })}>
        by itself
      </Chip>
      <Chip pressed={metric.type === "answer"} onClick={() => onChoose({ type: "answer" })}>
        whole answer
      </Chip>
      <span className="text-sm">
        <Term
          className="ml-1 text-muted"
          explain="Against a word: how much higher this token's logit is than that one's. By itself: its logit alone. Whole answer: the log-probability of every token of the answer together."
        >
          what is explained
        </Term>
      </span>
    </fieldset>
  );
}
