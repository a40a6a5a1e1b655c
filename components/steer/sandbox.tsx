"use client";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Play, RotateCcw, Square } from "lucide-react";
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { SaveExperiment } from "@/components/experiment/save-experiment";
import { useWhere, type Where } from "@/components/local-engine/use-where";
import { WhereChoice } from "@/components/local-engine/where-choice";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { Tooltip } from "@/components/ui/tooltip";
import { featureQueryOptions } from "@/lib/api/feature";
import { imageInfoQueryOptions } from "@/lib/api/images";
import type { ImageRef } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import { requestFromLink, type SteerLink } from "@/lib/core/steer-link";
import { AnswersPanel } from "./answers-panel";
import { Banner } from "./banner";
import { ChatInput } from "./chat-input";
import { ClampsPanel } from "./clamps-panel";
import { ComparisonInput } from "./comparison-input";
import { DictionarySelect } from "./dictionary-select";
import { doseCurve, doseValues, wordsToWatch } from "./dose";
import type { DoseActions } from "./dose-panel";
import { describeDose } from "./dose-words";
import { EngineNote, useDictionaries } from "./engine-note";
import { PictureInput } from "./picture-input";
import { summarise, textOf } from "./run-state";
import { SamplingInput } from "./sampling-input";
import { ShareMenu } from "./share-menu";
import { activeClampCount, type SteerAction, toLink } from "./state";
import { picturesOf } from "./turn-pictures";
import { useSandbox } from "./use-sandbox";
import { useWhy } from "./use-why";
import { WhyContext } from "./why-context";

interface SandboxProps {
  initial: SteerLink;
  mayResume: boolean;
  /** What a person gets who starts over. */
  fresh: SteerLink;
  dictionaries: Dictionary[];
  /** Why the address could not be followed, if it could not. */
  notice: string | null;
  /** This server keeps no experiments. */
  savingOff?: boolean;
}

const steps = [
  { id: "input", name: "Input" },
  { id: "clamps", name: "Clamps" },
  { id: "answers", name: "Answers" },
] as const;
type Step = (typeof steps)[number]["id"];

const versionOf = (dictionary: Dictionary) => dictionary.sha256.slice(0, 12);

/** The steering sandbox: what is asked, which features are held, what is answered. */
export function Sandbox({ initial, mayResume, fresh, dictionaries: known, notice, savingOff = false }: SandboxProps) {
  const where = useRef<Where>("server");
  /** Null until it is known where requests run. */
  const [unsent, setUnsent] = useState<boolean | null>(null);
  const sandbox = useSandbox({ initial, mayResume, where, unsent });
  const { state, send, link, run, running, begin, stop, problems, tried, uploads, linkError, resumed, reset } = sandbox;
  const [step, setStep] = useState<Step>("input");
  const shownRun = useRef(run);
  shownRun.current = run;
  /** Why the last press of Run sent nothing. */
  const [refused, setRefused] = useState<string | null>(null);
  const dictionaries = useDictionaries(known, state.dictionary);
  const dictionary = dictionaries.find(({ ref }) => ref === state.dictionary);
  const choice = useWhere(dictionary);
  where.current = choice.where;
  const settled = choice.known || !dictionary;
  useEffect(() => setUnsent(settled ? choice.where === "tab" : null), [settled, choice.where]);

  const image = state.turns[0]?.images[0] ?? null;
  const caption =
    useQuery({ ...imageInfoQueryOptions(image?.sha256 ?? ""), enabled: image !== null && !image.upload }).data?.caption ?? null;
  const firstClamp = state.clamps[0]?.feature;
  const label =
    useQuery({ ...featureQueryOptions(state.dictionary, firstClamp ?? 0), enabled: firstClamp !== undefined }).data?.feature.label ?? null;
  /** Which pictures there are, as one text: what is made of it is the same object while a question is typed. */
  const pictures = picturesOf(state.turns);
  const pictureKeys = pictures.map(({ image: { sha256, upload } }) => `${upload ? "u" : "c"}${sha256}`).join();
  /** In the order in which the model is given them; null for an upload that is not in this browser. */
  const images = useMemo(
    () =>
      (pictureKeys ? pictureKeys.split(",") : []).map((key): ImageRef | null => {
        const sha256 = key.slice(1);
        if (key.startsWith("c")) return { sha256 };
        const dataUrl = uploads.found[sha256]?.dataUrl;
        return dataUrl ? { dataUrl } : null;
      }),
    [pictureKeys, uploads.found],
  );

  const shownProblems = useMemo(
    () => (tried ? problems : problems.filter((problem) => problem.code !== "prompt_empty")),
    [tried, problems],
  );
  const pictureProblem = (turn: number) => shownProblems.find(({ at }) => at.part === "picture" && at.turn === turn);
  const lastArm = run.arms.find(({ arm }) => arm === "steered");
  const lastAnswer = run.status === "done" && run.key === link && lastArm ? textOf(lastArm) : null;

  /** Why nothing can be run, whatever is asked. */
  const blocked = dictionary?.engine === "none" && choice.where === "server" ? `No engine here can run ${dictionary.model.name}` : null;
  const launch = () => {
    if (blocked !== null) return setRefused(`Not run: ${blocked}. Choose a dictionary whose model is here, or see the note above.`);
    const first = problems[0];
    setRefused(first ? `Not run: ${problems.map(({ message }) => message).join(" ")}` : null);
    begin();
    setStep(first ? (first.at.part === "clamp" ? "clamps" : "input") : "answers");
  };
  const go = () => (running ? stop() : launch());
  const latest = useRef({ go, launch, running, state });
  latest.current = { go, launch, running, state };
  /** Counts what was asked to run as soon as the request holds it. */
  const [due, setDue] = useState(0);
  useEffect(() => {
    if (due > 0) latest.current.launch();
  }, [due]);
  const runWith = useCallback(
    (...actions: SteerAction[]) => {
      for (const action of actions) send(action);
      setDue((count) => count + 1);
    },
    [send],
  );

  const client = useQueryClient();
  const doseAsked = useRef(false);
  const onDose = useCallback(
    (id: number) => {
      const { state } = latest.current;
      const clamp = state.clamps.find((candidate) => candidate.id === id);
      if (!clamp) return;
      const feature = client.getQueryData(featureQueryOptions(state.dictionary, clamp.feature).queryKey)?.feature;
      const said = (name: string) => shownRun.current.arms.find(({ arm }) => arm === name)?.receipt?.text ?? "";
      const words = state.watch.length ? state.watch : wordsToWatch(feature?.label ?? null, said("steered"), said("baseline"));
      const values = doseValues(clamp, feature?.maxActivation ?? null);
      doseAsked.current = true;
      runWith(
        // A clamp that is not sent cannot be tried.
        { type: "clamp-change", id, patch: { muted: false, solo: clamp.solo || state.clamps.some(({ solo }) => solo) } },
        { type: "watch", words },
        { type: "sweep", sweep: { clamp: id, values } },
      );
    },
    [client, runWith],
  );
  const sweep = state.sweep;
  const dose = useMemo<DoseActions>(
    () => ({
      onWatch: (words) => runWith({ type: "watch", words }),
      onStrengths: (values) => {
        // A word that the model has no token for was said; it is not asked for again.
        const words = (shownRun.current.watch ?? []).map(({ word }) => word);
        if (sweep) runWith({ type: "watch", words }, { type: "sweep", sweep: { ...sweep, values } });
      },
      onClose: () => runWith({ type: "sweep", sweep: null }, { type: "watch", words: [] }),
      takeAsked: () => {
        const asked = doseAsked.current;
        doseAsked.current = false;
        return asked;
      },
    }),
    [runWith, sweep],
  );

  // Keys for the whole page. Escape is first of what has the focus, which says so by preventing the default; Ctrl + Enter is of the page alone,
  // though some controls prevent Enter's default whatever is held with it.
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (document.querySelector('[role="dialog"][data-state="open"]')) return;
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        if (!latest.current.running) latest.current.go();
      } else if (event.key === "Escape" && !event.defaultPrevented && latest.current.running) {
        event.preventDefault();
        latest.current.go();
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);

  const curve = useMemo(() => doseCurve(run), [run]);
  const why = useWhy(run);
  const current = dictionary ? versionOf(dictionary) : null;
  const mismatch = state.version !== null && current !== null && state.version !== current;

  return (
    <div className="mx-auto flex w-full max-w-[120rem] grow flex-col px-4 pb-4 sm:px-6 max-md:pb-24">
      <div className="flex flex-wrap items-center gap-x-2 gap-y-1 bg-surface py-2 md:sticky md:top-14 md:z-20">
        <h1 className="font-semibold text-lg">Steer</h1>
        <DictionarySelect
          dictionaries={dictionaries}
          current={state.dictionary}
          onSelect={(next) => send({ type: "dictionary", ref: next.ref, version: versionOf(next) })}
        />
        <div className="ml-auto flex items-center gap-1">
          <Tooltip content="Start over with a plain request; Back brings this one back">
            <Button variant="ghost" className="px-3" onClick={() => reset(fresh)}>
              <RotateCcw aria-hidden />
              <span className="max-sm:sr-only">Start over</span>
            </Button>
          </Tooltip>
          <ShareMenu
            dictionary={state.dictionary}
            link={link}
            unsent={choice.where === "tab"}
            hasUpload={state.turns.some((turn) => turn.images.some((picture) => picture.upload))}
            request={() => requestFromLink(toLink(state), (sha256) => uploads.found[sha256]?.dataUrl)}
          />
          <RunButton running={running} blocked={blocked} onPress={go} />
        </div>
      </div>

      {/* Outside the columns: on a phone two of them are away. */}
      <p className="sr-only" role="status">
        {refused ?? [summarise(run), run.status === "done" && curve && describeDose(curve)].filter(Boolean).join(" ")}
      </p>

      <div className="flex flex-col gap-2 pt-1 pb-3 empty:hidden">
        {notice && <Banner>{notice}</Banner>}
        {linkError && (
          <Banner>
            {linkError.message} {linkError.fix}
          </Banner>
        )}
        {resumed && <p className="pb-1 text-muted text-sm">Picked up where this tab left off.</p>}
        {!dictionary && <Banner>The catalogue has no dictionary “{state.dictionary}”. Choose one that it has, above.</Banner>}
        {choice.where === "server" && <EngineNote dictionary={dictionary} blocked={blocked} />}
        {choice.pack && <WhereChoice choice={choice} />}
        {mismatch && (
          <Banner
            action={
              <Button size="sm" onClick={() => send({ type: "version", version: current })}>
                Use version {current}
              </Button>
            }
          >
            This request was made for version {state.version} of the dictionary; the catalogue has {current}. The same numbers may mean
            other features.
          </Banner>
        )}
      </div>

      <nav aria-label="Steps" className="sticky top-14 z-20 -mx-4 bg-surface px-4 py-2 md:hidden">
        <ol className="flex gap-0.5 rounded-md bg-sunken p-0.5">
          {steps.map(({ id, name }, i) => (
            <li key={id} className="grow">
              <button
                type="button"
                aria-current={step === id ? "step" : undefined}
                onClick={() => setStep(id)}
                className={cn(
                  "h-9 w-full rounded text-sm",
                  step === id ? "bg-raised font-medium shadow-sm ring-1 ring-line" : "text-muted",
                )}
              >
                {i + 1} {name}
                {id === "clamps" && state.clamps.length > 0 && <span className="num text-muted"> ({state.clamps.length})</span>}
              </button>
            </li>
          ))}
        </ol>
      </nav>

      <div className="grid gap-x-6 gap-y-8 max-md:pt-1 md:grid-cols-2 lg:grid-cols-[13rem_23rem_minmax(0,1fr)] xl:grid-cols-[18rem_26rem_minmax(0,1fr)] xl:gap-x-8">
        <Column id="input" title="Input" step={step} className="md:col-start-1">
          {state.turns[0] && (
            <PictureInput
              turn={state.turns[0]}
              place={1}
              before={0}
              dictionary={state.dictionary}
              uploads={uploads}
              problem={pictureProblem(state.turns[0].id)}
              send={send}
            />
          )}
          <ChatInput
            turns={state.turns}
            caption={caption}
            label={label}
            lastAnswer={lastAnswer}
            problem={shownProblems.find(({ at }) => at.part === "prompt")}
            pictureProblem={pictureProblem}
            dictionary={state.dictionary}
            uploads={uploads}
            send={send}
          />
          <div>
            <SamplingInput sampling={state.sampling} send={send} />
            <ComparisonInput controls={state.controls} mode={state.mode} send={send} />
          </div>
        </Column>
        <Column id="clamps" title="Clamps" step={step} className="md:col-start-1 lg:col-start-2">
          <ClampsPanel
            dictionary={state.dictionary}
            numLatents={dictionary?.numLatents ?? 0}
            clamps={state.clamps}
            images={images}
            grid={dictionary?.model.grid ?? null}
            problems={shownProblems}
            send={send}
            onDose={onDose}
          />
        </Column>
        <Column
          id="answers"
          title="Answers"
          step={step}
          action={
            run.key === link && (
              <SaveExperiment
                run={run}
                off={savingOff}
                pictures={() => pictures.flatMap(({ image }) => (image.upload ? (uploads.found[image.sha256]?.dataUrl ?? []) : []))}
              />
            )
          }
          className="md:col-start-2 md:row-span-2 md:row-start-1 lg:col-start-3 lg:row-span-1"
        >
          <div
            data-scrolls
            className="md:sticky md:top-28 md:max-h-[calc(100dvh-8rem)] md:overflow-y-auto md:-mx-1 md:px-1 md:pt-1 md:pb-4"
          >
            <WhyContext value={why}>
              <AnswersPanel
                run={run}
                stale={run.status !== "idle" && run.key !== link}
                clamps={activeClampCount(state)}
                onRun={go}
                blocked={blocked}
                dictionary={state.dictionary}
                dose={dose}
              />
            </WhyContext>
          </div>
        </Column>
      </div>
    </div>
  );
}

/** One of the three columns; on a phone the chosen step alone is there. */
function Column({
  id,
  title,
  step,
  action,
  className,
  children,
}: {
  id: Step;
  title: string;
  step: Step;
  /** Beside the title. */
  action?: ReactNode;
  className?: string;
  children: ReactNode;
}) {
  return (
    <section aria-labelledby={`${id}-title`} className={cn("flex min-w-0 flex-col gap-4", step !== id && "max-md:hidden", className)}>
      <div className="flex min-h-8 items-center justify-between gap-2 max-md:min-h-0">
        <h2 id={`${id}-title`} className="font-medium text-muted text-sm max-md:sr-only">
          {title}
        </h2>
        {action}
      </div>
      {children}
    </section>
  );
}

/** Run and Stop are one button; at a phone's foot it stays in reach of the thumb. */
function RunButton({ running, blocked, onPress }: { running: boolean; blocked: string | null; onPress: () => void }) {
  const off = blocked !== null && !running;
  return (
    <div className="max-md:fixed max-md:inset-x-0 max-md:bottom-0 max-md:z-20 max-md:bg-surface max-md:p-3 max-md:shadow-[0_-1px_0_var(--line)]">
      <Tooltip content={off ? `${blocked}: choose another dictionary` : running ? "Stop (Esc)" : "Run (Ctrl or ⌘ + Enter)"}>
        <Button
          variant={running || off ? "secondary" : "primary"}
          // Not `disabled`: it could not be reached, and would keep its reason to itself.
          aria-disabled={off || undefined}
          className="w-24 max-md:w-full"
          aria-keyshortcuts={running ? "Escape" : "Control+Enter"}
          onClick={onPress}
        >
          {running ? <Square aria-hidden /> : <Play aria-hidden />}
          {running ? "Stop" : "Run"}
        </Button>
      </Tooltip>
    </div>
  );
}
