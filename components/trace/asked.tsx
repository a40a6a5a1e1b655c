"use client";
import { useQuery } from "@tanstack/react-query";
import { Play, Square } from "lucide-react";
import { ChatInput } from "@/components/steer/chat-input";
import { PictureInput } from "@/components/steer/picture-input";
import { Button } from "@/components/ui/button";
import { imageInfoQueryOptions } from "@/lib/api/images";
import { inPrint } from "@/lib/core/format";
import { routes } from "@/lib/core/routes";
import type { TraceState } from "./use-trace";

interface AskedProps {
  trace: TraceState;
  editing: boolean;
  onEdit: (editing: boolean) => void;
  onAsk: () => void;
  blocked: string | null;
}

/** What is asked: in a line once there is an answer, with all its inputs before that or on demand. */
export function Asked({ trace, editing, onEdit, onAsk, blocked }: AskedProps) {
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
        <div className="max-w-52">
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
