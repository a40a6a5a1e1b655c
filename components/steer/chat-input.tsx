"use client";
import { MessageSquarePlus, Trash2 } from "lucide-react";
import { useId, useRef } from "react";
import { Chip } from "@/components/ui/chip";
import { IconButton } from "@/components/ui/icon-button";
import { Textarea } from "@/components/ui/input";
import { limits } from "@/lib/core/protocol";
import { PictureInput, type PictureInputProps } from "./picture-input";
import { followUps, type Question, questions } from "./questions";
import type { Problem, SteerAction, Turn } from "./state";

interface ChatInputProps {
  turns: Turn[];
  /** What the picture is known to show. */
  caption: string | null;
  /** Label of the first clamp, to ask about. */
  label: string | null;
  /** The plain answer of the last run, which a follow-up builds on. */
  lastAnswer: string | null;
  problem: Problem | undefined;
  /** What is wrong with a turn's pictures. */
  pictureProblem: (turn: number) => Problem | undefined;
  dictionary: string;
  uploads: PictureInputProps["uploads"];
  send: (action: SteerAction) => void;
}

/** The conversation: questions, and the answers that later ones build on. */
export function ChatInput({ turns, caption, label, lastAnswer, problem, pictureProblem, dictionary, uploads, send }: ChatInputProps) {
  const last = turns.at(-1);
  const box = useRef<HTMLTextAreaElement>(null);
  const problemId = useId();
  const offered = turns.length > 1 ? followUps : questions(caption, label);

  const ask = ({ text, replace }: Question) => {
    if (!last) return;
    send({ type: "text", turn: last.id, text });
    // The chip was pressed to go on typing: what is to be typed over is selected, once the text is there.
    if (!replace) return;
    requestAnimationFrame(() => {
      const from = text.lastIndexOf(replace);
      box.current?.focus();
      box.current?.setSelectionRange(from, from + replace.length);
    });
  };

  return (
    <section aria-label="Question" className="flex flex-col gap-2">
      {turns.map((turn, i) => (
        <div key={turn.id} data-turn={turn.id}>
          <div className="mb-1 flex min-h-8 items-center justify-between">
            <label htmlFor={`turn-${turn.id}`} className="font-medium text-sm">
              {turn.role === "assistant"
                ? "Answer before it"
                : turns.length === 1
                  ? "Question"
                  : i === turns.length - 1
                    ? "Question now"
                    : "Question before"}
            </label>
            {turn.role === "assistant" && (
              <IconButton
                label="Remove this answer and the question after it"
                size="sm"
                onClick={() => {
                  box.current?.focus();
                  send({ type: "exchange-remove", turn: turn.id });
                }}
              >
                <Trash2 />
              </IconButton>
            )}
          </div>
          <Textarea
            id={`turn-${turn.id}`}
            ref={i === turns.length - 1 ? box : undefined}
            dir="auto"
            rows={2}
            maxLength={limits.textLength}
            value={turn.text}
            placeholder={turn.role === "user" ? "What do you see?" : "What the model had answered"}
            aria-invalid={(i === turns.length - 1 && problem !== undefined) || undefined}
            aria-describedby={i === turns.length - 1 && problem ? problemId : undefined}
            onChange={(event) => send({ type: "text", turn: turn.id, text: event.target.value })}
            className="field-sizing-content max-h-64 min-h-16 resize-none"
          />
          {turn.role === "user" && i > 0 && (
            <div className="mt-1">
              <PictureInput
                turn={turn}
                place={turns.slice(0, i + 1).filter(({ role }) => role === "user").length}
                before={turns.slice(0, i).reduce((sum, { images }) => sum + images.length, 0)}
                dictionary={dictionary}
                uploads={uploads}
                problem={pictureProblem(turn.id)}
                send={send}
              />
            </div>
          )}
        </div>
      ))}
      {problem && (
        <p id={problemId} className="text-bad text-sm">
          {problem.message}
        </p>
      )}
      <fieldset className="flex flex-wrap gap-1.5">
        <legend className="sr-only">Questions to start from</legend>
        {offered.map((question) => (
          <Chip key={question.name} onClick={() => ask(question)} className="px-2.5">
            {question.name}
          </Chip>
        ))}
      </fieldset>
      {turns.length + 2 <= limits.messages && lastAnswer !== null && (
        <button
          type="button"
          onClick={() => {
            send({ type: "follow-up", answer: lastAnswer });
            requestAnimationFrame(() => box.current?.focus());
          }}
          className="inline-flex min-h-8 items-center gap-2 self-start rounded-sm text-accent text-sm underline-offset-4 hover:underline"
        >
          <MessageSquarePlus className="size-4" aria-hidden />
          Ask a follow-up
        </button>
      )}
    </section>
  );
}
