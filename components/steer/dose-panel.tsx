"use client";
import { useQuery } from "@tanstack/react-query";
import { ChevronRight, X } from "lucide-react";
import { type FormEvent, Fragment, useEffect, useId, useMemo, useRef, useState } from "react";
import { DoseCurveChart, type DoseSeries } from "@/components/charts/dose-curve";
import { Badge } from "@/components/ui/badge";
import { Chip, RemovableChip } from "@/components/ui/chip";
import { cn } from "@/components/ui/cn";
import { IconButton } from "@/components/ui/icon-button";
import { Input } from "@/components/ui/input";
import { Segmented } from "@/components/ui/segmented";
import { Term } from "@/components/ui/term";
import { featureQueryOptions } from "@/lib/api/feature";
import { formatIndex, formatPercent } from "@/lib/core/format";
import { limits } from "@/lib/core/protocol";
import { markTokens } from "@/lib/core/word-diff";
import { Answer } from "./answer";
import { breakageMeans } from "./breakage";
import { formatStrength } from "./clamp-words";
import { type DoseCurve, type DosePoint, newWords } from "./dose";
import { describeDose, doseName, readStrengths } from "./dose-words";
import type { ArmRun } from "./run-state";

/** What a person may change of a curve; each change runs it again. */
export interface DoseActions {
  onWatch: (words: string[]) => void;
  onStrengths: (values: number[]) => void;
  onClose: () => void;
  /** Whether the curve was just asked for, so that it comes into view; answers once. */
  takeAsked: () => boolean;
}

interface DosePanelProps {
  curve: DoseCurve;
  /** `<model>/<dictionary>`, to name the feature. */
  dictionary: string;
  baseline: ArmRun | undefined;
  arms: ArmRun[];
  running: boolean;
  /** Words that the model has no token for. */
  unwatched: readonly string[];
  /** Null where the curve is only read. */
  actions: DoseActions | null;
}

const wordsApart = "words apart from the baseline’s";
const tokenApart = "first token’s distance from the baseline";
const explains: Record<string, string> = {
  [wordsApart]: "Share of the words of both answers that the other one lacks: 0 % is the same answer.",
  [tokenApart]: "Half the sum of the differences of all words’ probabilities at the answer’s beginning (total variation): 0 % is the same.",
};
const colours = ["var(--accent)", "var(--negative)", "var(--concept-scene)", "var(--concept-text)", "var(--concept-emotion)"] as const;
const dashes = [undefined, "6 3", "2 3", "9 3 2 3", "12 4"] as const;

/** One clamp at several strengths: a curve of what changes, and under it every answer. */
export function DosePanel({ curve, dictionary, baseline, arms, running, unwatched, actions }: DosePanelProps) {
  const titleId = useId();
  const [chosen, setChosen] = useState<number | null>(null);
  const [where, setWhere] = useState<"peak" | "first">("peak");
  const section = useRef<HTMLElement>(null);
  // Where the window is scrolled to is the browser's.
  useEffect(() => {
    if (section.current && actions?.takeAsked()) bringToTop(section.current);
  }, [actions]);
  const { clamp, points, words } = curve;
  const feature = useQuery(featureQueryOptions(dictionary, clamp.feature)).data?.feature;
  const name = feature?.label ?? `feature ${formatIndex(clamp.feature)}`;
  const followed = words.slice(0, colours.length);
  const series: DoseSeries[] = [
    ...followed.map((word, i) => ({
      name: `“${word}”`,
      colour: colours[i] as string,
      dash: dashes[i],
      shares: points.map(({ watched }) => watched[i]?.[where] ?? null),
    })),
    { name: wordsApart, colour: "var(--ink-muted)", dash: "1 4", shares: points.map(({ changed }) => changed) },
    { name: tokenApart, colour: "var(--ink-faint)", dash: "10 4", shares: points.map(({ distance }) => distance) },
  ].filter(({ shares }) => shares.some((share) => share !== null));
  const anyBroken = points.some(({ broken }) => broken);
  const summary = describeDose(curve);
  const suggestions = useMemo(
    () => (running ? [] : newWords(points, baseline?.receipt?.text ?? "").filter((word) => !words.includes(word))).slice(0, 4),
    [running, points, baseline, words],
  );

  return (
    <section
      ref={section}
      aria-labelledby={titleId}
      // Room for what is to come, so that it can be brought to the top before it is there.
      className={cn("scroll-mt-28 border-line border-t pt-4", running && "min-h-[calc(100dvh-9rem)]")}
    >
      <div className="flex items-start justify-between gap-2">
        <h2 id={titleId} className="font-medium text-sm">
          Dose curve of <span dir="auto">{name}</span>
        </h2>
        {actions && (
          <IconButton label="Remove the dose curve" size="sm" className="-mt-1" onClick={actions.onClose}>
            <X />
          </IconButton>
        )}
      </div>
      <p className="mt-1 min-h-6 text-sm">{summary || (running ? `Running ${points.length} strengths…` : "")}</p>

      {series.length > 0 && (
        <figure className="mt-3">
          <Legend series={series} curve={curve} where={where} broken={anyBroken} />
          <DoseCurveChart
            label={`Against the strength of ${name}: ${series.map((one) => one.name).join(", ")}. ${summary} The list below has every answer.`}
            points={points.map(({ value, broken }) => ({ value, broken: broken !== null }))}
            series={series}
            formatStrength={formatStrength}
            chosen={chosen}
            onChoose={setChosen}
          />
        </figure>
      )}

      {followed.length > 0 && (
        <Segmented
          label="Which probability of a word is drawn"
          value={where}
          onChange={setWhere}
          options={[
            { value: "peak", name: "Anywhere in the answer" },
            { value: "first", name: "As its first word" },
          ]}
          className="mb-3"
        />
      )}
      {unwatched.length > 0 && (
        <p className="mb-2 text-muted text-sm">
          The model has no token for {unwatched.map((word) => `“${word}”`).join(", ")}, so its probability is not drawn.
        </p>
      )}
      {actions && (
        <Editor
          key={points.map(({ value }) => value).join()}
          words={words}
          suggestions={suggestions}
          values={points.map(({ value }) => value)}
          actions={actions}
        />
      )}

      <ol className="mt-3 divide-y divide-line border-line border-y" aria-label="Answers by strength">
        {points.map((point, i) => (
          <Point
            key={point.arm}
            point={point}
            name={doseName(point.value, clamp)}
            words={followed}
            where={where}
            baseline={baseline}
            arms={arms}
            dictionary={dictionary}
            running={running}
            open={chosen === i}
            onToggle={() => setChosen(chosen === i ? null : i)}
          />
        ))}
      </ol>
    </section>
  );
}

/** To the top of the column that scrolls by itself (`data-scrolls`), where it does; else of the window. */
function bringToTop(section: HTMLElement): void {
  const column = section.closest("[data-scrolls]");
  if (column && getComputedStyle(column).overflowY === "auto") {
    column.scrollTop += section.getBoundingClientRect().top - column.getBoundingClientRect().top;
  } else section.scrollIntoView?.({ block: "start" });
}

interface LegendProps {
  series: DoseSeries[];
  curve: DoseCurve;
  where: "peak" | "first";
  broken: boolean;
}

function Legend({ series, curve, where, broken }: LegendProps) {
  return (
    <figcaption className="num mb-1 flex flex-wrap gap-x-4 gap-y-1 text-muted text-sm">
      {series.map(({ name, colour, dash }, i) => {
        const plain = curve.baseline[i]?.[where];
        return (
          <span key={name} className="inline-flex items-center gap-1.5">
            <svg width={26} height={10} aria-hidden="true">
              <line x1={0} x2={26} y1={5} y2={5} stroke={colour} strokeWidth={2} strokeDasharray={dash} />
            </svg>
            {explains[name] ? <Term explain={explains[name]}>{name}</Term> : <span dir="auto">{name}</span>}
            {plain !== undefined && i < curve.words.length && <span>(baseline {formatPercent(plain)})</span>}
          </span>
        );
      })}
      {broken && (
        <span className="inline-flex items-center gap-1.5">
          <span aria-hidden className="inline-block size-3 rounded-sm bg-bad/15 ring-1 ring-bad/40" />
          <Term explain={breakageMeans}>broken</Term>
        </span>
      )}
    </figcaption>
  );
}

interface EditorProps {
  words: string[];
  suggestions: string[];
  values: number[];
  actions: DoseActions;
}

/** The words that are followed and the strengths that are tried. */
function Editor({ words, suggestions, values, actions }: EditorProps) {
  const [word, setWord] = useState("");
  const [strengths, setStrengths] = useState<string | null>(null);
  const id = useId();
  const typed = strengths === null ? null : readStrengths(strengths);
  const add = (event: FormEvent) => {
    event.preventDefault();
    const next = word.trim();
    if (!next || words.length >= limits.watchedWords) return;
    setWord("");
    actions.onWatch([...words, next]);
  };
  const run = (event: FormEvent) => {
    event.preventDefault();
    if (typed?.values) actions.onStrengths(typed.values);
  };
  return (
    <div className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center gap-1.5">
        <span className="text-muted text-sm">Follow</span>
        {words.map((one) => (
          <RemovableChip key={one} label={`the word ${one}`} onRemove={() => actions.onWatch(words.filter((other) => other !== one))}>
            {one}
          </RemovableChip>
        ))}
        {suggestions.map((one) => (
          <Chip key={one} onClick={() => actions.onWatch([...words, one])} aria-label={`Follow the word ${one}`}>
            + {one}
          </Chip>
        ))}
        <form onSubmit={add} className="inline-flex">
          <Input
            aria-label="Follow another word"
            placeholder="another word"
            value={word}
            maxLength={64}
            onChange={(event) => setWord(event.target.value)}
            className="h-8 w-32 px-2 text-sm"
          />
        </form>
      </div>
      <form onSubmit={run} className="flex flex-wrap items-center gap-1.5">
        <label htmlFor={id} className="text-muted text-sm">
          Strengths
        </label>
        <Input
          id={id}
          value={strengths ?? values.map((value) => String(value).replace("-", "−")).join(", ")}
          onChange={(event) => setStrengths(event.target.value)}
          aria-invalid={typed?.refusal ? true : undefined}
          aria-describedby={`${id}-note`}
          inputMode="text"
          className="num h-8 w-64 max-w-full px-2 text-sm"
        />
        <span id={`${id}-note`} role="status" className={cn("text-sm", typed?.refusal ? "text-bad" : "text-muted")}>
          {typed?.refusal ?? (strengths === null ? "" : "Enter runs them.")}
        </span>
      </form>
    </div>
  );
}

interface PointProps {
  point: DosePoint;
  name: string;
  words: string[];
  where: "peak" | "first";
  baseline: ArmRun | undefined;
  arms: ArmRun[];
  dictionary: string;
  running: boolean;
  open: boolean;
  onToggle: () => void;
}

/** One strength: its answer in a line, and on demand the whole of it with its receipt. */
function Point({ point, name, words, where, baseline, arms, dictionary, running, open, onToggle }: PointProps) {
  const { run, receipt, answer, broken, changed } = point;
  const marks = useMemo(
    () =>
      receipt && baseline?.receipt
        ? markTokens(
            run.tokens.map(({ text }) => text),
            baseline.tokens.map(({ text }) => text),
          ).left
        : null,
    [run, receipt, baseline],
  );
  const probabilities = words.flatMap((word, i) => {
    const share = point.watched[i]?.[where];
    return share === undefined ? [] : [{ word, text: `${word} ${formatPercent(share)}` }];
  });
  return (
    <li>
      <button
        type="button"
        aria-expanded={open}
        onClick={onToggle}
        className="grid min-h-10 w-full grid-cols-[1rem_5.5rem_minmax(0,1fr)] items-baseline gap-x-2 rounded-sm py-1.5 text-left text-sm hover:bg-sunken"
      >
        <ChevronRight className={cn("size-4 self-center text-muted transition-transform duration-100", open && "rotate-90")} aria-hidden />
        <span className="num font-medium">{name}</span>
        <span className="flex min-w-0 flex-wrap items-baseline gap-x-2">
          <span dir="auto" className={cn("min-w-0 max-w-full", open ? "sr-only" : "truncate")}>
            {answer || (receipt ? <em className="text-muted">nothing</em> : <span className="text-muted">…</span>)}
          </span>
          {changed === 0 && <Badge>as the baseline</Badge>}
          {broken && <Badge tone="warn">breaks: {broken}</Badge>}
          {probabilities.length > 0 && (
            <span className="num text-muted text-xs">
              {probabilities.map(({ word, text }, i) => (
                <Fragment key={word}>
                  {i > 0 && " · "}
                  <span className="whitespace-nowrap">{text}</span>
                </Fragment>
              ))}
            </span>
          )}
        </span>
      </button>
      {open && (
        <div className="pt-1 pb-4 pl-6">
          <Answer
            run={run}
            title={name}
            running={running && !receipt}
            differs={marks}
            other="the baseline"
            size="small"
            arms={arms}
            dictionary={dictionary}
          />
        </div>
      )}
    </li>
  );
}
