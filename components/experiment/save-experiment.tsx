"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Bookmark } from "lucide-react";
import Link from "next/link";
import { type FormEvent, useId, useState } from "react";
import { CopyButton } from "@/components/steer/copy-button";
import { findWords, keepWords, type SaveWords } from "@/components/steer/kept";
import type { RunState } from "@/components/steer/run-state";
import { Button } from "@/components/ui/button";
import { Input, Textarea } from "@/components/ui/input";
import { Popover, PopoverContent, PopoverTrigger } from "@/components/ui/popover";
import { Term } from "@/components/ui/term";
import { postExperiment } from "@/lib/api/experiments";
import { asFacetError } from "@/lib/core/errors";
import { type ExperimentSummary, experimentLimits } from "@/lib/core/experiment";
import { absolute, routes } from "@/lib/core/routes";

interface SaveExperimentProps {
  run: Pick<RunState, "id" | "status" | "inTab">;
  /** The uploaded pictures of the run's request as data URLs; the server takes the catalogue's from itself. */
  pictures: () => string[];
  /** This server keeps no experiments. */
  off?: boolean;
}

/** Keeps a finished run for good: request, answers, receipts and pictures, as the server recorded them. */
export function SaveExperiment({ run, pictures, off = false }: SaveExperimentProps) {
  // What ran in this tab the server has not seen.
  if (run.status !== "done" || run.inTab) return null;
  if (off) {
    return (
      <span className="text-muted text-sm">
        <Term explain="This server keeps no experiments. Share has the whole request as a link, and as JSON.">Saving is off</Term>
      </span>
    );
  }
  // Another run is another form: nothing typed for the one before is saved with it.
  return <SaveButton key={run.id ?? ""} runId={run.id ?? null} pictures={pictures} />;
}

function SaveButton({ runId, pictures }: { runId: string | null; pictures: () => string[] }) {
  const client = useQueryClient();
  // Outlives the form, which a press beside it closes, and the page's reload.
  const [words, setWords] = useState<SaveWords>(() => findWords(runId ?? ""));
  const change = (next: SaveWords) => {
    setWords(next);
    keepWords(runId ?? "", next);
  };
  const saving = useMutation({
    mutationFn: () => postExperiment({ run: runId ?? "", ...words, pictures: pictures() }),
    onSuccess: () => {
      change({ title: "", note: "" });
      return client.invalidateQueries({ queryKey: ["experiments"] });
    },
  });
  return (
    <Popover onOpenChange={(open) => !open && saving.reset()}>
      <PopoverTrigger asChild>
        <Button size="sm">
          <Bookmark aria-hidden />
          Save
        </Button>
      </PopoverTrigger>
      <PopoverContent align="end" aria-label="Save this run" className="w-80">
        {runId === null ? (
          <p className="text-sm">The server gave this run no name, so it cannot be saved. Run it again, then save.</p>
        ) : saving.data ? (
          <Saved experiment={saving.data} />
        ) : (
          <SaveForm
            words={words}
            onChange={change}
            uploads={pictures().length}
            busy={saving.isPending}
            error={saving.error}
            onSave={() => saving.mutate()}
          />
        )}
      </PopoverContent>
    </Popover>
  );
}

interface SaveFormProps {
  words: SaveWords;
  onChange: (words: SaveWords) => void;
  uploads: number;
  busy: boolean;
  error: unknown;
  onSave: () => void;
}

function SaveForm({ words, onChange, uploads, busy, error, onSave }: SaveFormProps) {
  const id = useId();
  const failure = error ? asFacetError(error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!busy) onSave();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <div>
        <label htmlFor={`${id}-title`} className="mb-1 block font-medium text-sm">
          Title
        </label>
        <Input
          id={`${id}-title`}
          value={words.title}
          maxLength={experimentLimits.title}
          placeholder="Named by its clamp if left empty"
          onChange={(event) => onChange({ ...words, title: event.target.value })}
        />
      </div>
      <div>
        <label htmlFor={`${id}-note`} className="mb-1 block font-medium text-sm">
          Note
        </label>
        <Textarea
          id={`${id}-note`}
          value={words.note}
          rows={3}
          maxLength={experimentLimits.note}
          placeholder="What you were after, what it shows"
          onChange={(event) => onChange({ ...words, note: event.target.value })}
        />
      </div>
      <p className="text-muted text-sm">
        Saves the request with its answers and receipts as the engine gave them. What is saved cannot be changed.
        {uploads > 0 && ` The ${uploads === 1 ? "picture" : "pictures"} that you uploaded can then be seen by whoever opens it.`}
      </p>
      {failure && (
        <p role="alert" className="text-bad text-sm">
          {failure.message} {failure.fix}
        </p>
      )}
      <Button type="submit" variant="primary" aria-disabled={busy}>
        {busy ? "Saving…" : "Save for good"}
      </Button>
    </form>
  );
}

function Saved({ experiment }: { experiment: ExperimentSummary }) {
  const [fallback, setFallback] = useState<string | null>(null);
  const path = routes.experiment(experiment.id);
  return (
    <div role="status" className="flex flex-col items-start gap-3 text-sm">
      <p className="break-words">
        Saved as{" "}
        <Link href={path} className="rounded-sm font-medium text-accent underline underline-offset-4">
          {experiment.title}
        </Link>
        .
      </p>
      <CopyButton text={() => absolute(path)} onFailure={setFallback}>
        Copy link
      </CopyButton>
      {fallback !== null && <p className="select-all break-all font-mono text-xs">{fallback}</p>}
    </div>
  );
}
