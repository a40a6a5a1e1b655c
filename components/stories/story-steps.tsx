import Link from "next/link";
import type { ReactNode } from "react";
import { describeScope, describeStrength } from "@/components/steer/clamp-words";
import { Term } from "@/components/ui/term";
import { formatIndex, formatNoun, formatPercent } from "@/lib/core/format";
import type { KeptStory, StoryKind } from "@/lib/core/story";
import { BeforeAfter } from "./story-card";
import { storyLinks } from "./story-links";

const wrong: Record<StoryKind, string> = {
  emotion: "It is right: that is the face that is drawn.",
  hallucination: "It is wrong: no such thing is drawn.",
  written: "It is wrong: the word is written there, and the thing is not drawn.",
};

const lookAt: Record<StoryKind, string> = {
  emotion: "Look at which faces light it up, and where on them it fires.",
  hallucination: "Look at what else lights it up: what it takes this picture's thing for.",
  written: "Look at what lights it up: the board with that word, wherever it stands.",
};

const formatLogit = (value: number) => value.toFixed(1).replace("-", "−");

function Step({ number, title, children, href, go }: { number: number; title: string; children: ReactNode; href?: string; go?: string }) {
  return (
    <li className="grid grid-cols-[2rem_minmax(0,1fr)] gap-x-3">
      <span className="num mt-0.5 flex size-7 items-center justify-center rounded-full bg-sunken text-muted text-sm" aria-hidden>
        {number}
      </span>
      <div className="min-w-0 pb-1">
        <h2 className="font-semibold leading-8">{title}</h2>
        <div className="num flex flex-col gap-1.5 text-pretty">{children}</div>
        {href && (
          <Link
            href={href}
            prefetch={false}
            className="mt-1 inline-flex min-h-10 items-center rounded-sm font-medium text-accent text-sm underline underline-offset-4"
          >
            {go}
          </Link>
        )}
      </div>
    </li>
  );
}

/** A story from its question to the new answer, a step a place that one can go to and see for oneself. */
export function StorySteps({ story }: { story: KeptStory }) {
  const { kind, question, before, after, trace, cause, clamped, chance, panel, request } = story;
  const links = storyLinks(story);
  const [clamp] = request.interventions;
  const same = clamped.feature === cause.feature;
  return (
    <ol className="flex flex-col gap-6">
      <Step number={1} title="The question">
        <p>
          {question} The model answers <strong className="font-semibold">{before}</strong>. {wrong[kind]}
        </p>
      </Step>
      <Step number={2} title="Why this word?" href={links.trace} go={`Trace the word “${before}”`}>
        <p>
          The trace compares “{trace.answer}” with “{trace.against}”, the likeliest other word: it leads by {formatLogit(trace.value)}{" "}
          <Term explain="The model's score of a word before it becomes a probability; a difference of 1 makes one word 2.7 times as likely as the other.">
            logits
          </Term>
          . Of {formatNoun(trace.active, "active feature")}, “{cause.label}” <span className="font-mono">{formatIndex(cause.feature)}</span>{" "}
          is number {cause.rank} by its estimated share of that, {formatLogit(cause.estimate)} logits; measured, its removal takes{" "}
          {formatLogit(cause.effect)}.
        </p>
      </Step>
      <Step number={3} title="The feature" href={links.cause} go={`Open “${cause.label}”`}>
        <p>{lookAt[kind]}</p>
      </Step>
      <Step number={4} title="The clamp" href={links.sandbox} go="Set it up in the sandbox">
        <p>
          {same ? (
            "The same feature is "
          ) : (
            <>
              Another feature,{" "}
              <Link href={links.clamped} prefetch={false} className="rounded-sm text-accent underline underline-offset-4">
                “{clamped.label}”
              </Link>{" "}
              <span className="font-mono">{formatIndex(clamped.feature)}</span>, is{" "}
            </>
          )}
          {clamp && `${describeStrength(clamp)}, ${describeScope(clamp.scope)}`}. Nothing else is touched.
        </p>
      </Step>
      <Step number={5} title="The new answer" href={links.experiment} go="Open the saved experiment, and replay it">
        <p>
          <BeforeAfter before={before} after={after} />
        </p>
        <p>
          Probability of “{after}”, from the run’s receipts: {formatPercent(chance.before)} before, {formatPercent(chance.after)} after.
          With another feature, drawn at random and changed by the same amount: {formatPercent(chance.random)}.
        </p>
        <p>
          Of {panel.of} fixed questions about other pictures{panel.leftOut && ` (without ${panel.leftOut})`},{" "}
          {panel.changed === 0 ? "none is" : `${panel.changed} are`} answered otherwise under the clamp.
        </p>
      </Step>
    </ol>
  );
}

/** What the search looked at, so that one case is not taken for the rule. */
export function StorySearch({ story }: { story: KeptStory }) {
  const { search, command } = story;
  return (
    <details className="rounded-lg bg-raised px-4 py-3 text-sm ring-1 ring-line">
      <summary className="cursor-pointer rounded-sm font-medium">How it was found</summary>
      <p className="mt-3">{search.rule}</p>
      <ul className="mt-3 flex flex-col gap-1.5">
        {search.steps.map(({ what, n }) => (
          <li key={what} className="grid grid-cols-[3.5rem_minmax(0,1fr)] gap-x-3">
            <span className="num text-right font-mono">{n.toLocaleString("en-US")}</span>
            <span className="text-muted">{what}</span>
          </li>
        ))}
      </ul>
      <p className="mt-3 text-muted">
        Found and measured by <code className="break-words font-mono text-ink">{command}</code>, with the model that is steered here.
      </p>
    </details>
  );
}
