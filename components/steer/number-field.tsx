"use client";
import { useId, useState } from "react";
import { cn } from "@/components/ui/cn";
import { inputStyles } from "@/components/ui/input";
import { readNumber } from "./read-number";

interface NumberFieldProps {
  label: string;
  value: number;
  onChange: (value: number) => void;
  min: number;
  max: number;
  /** Whole numbers only. */
  whole?: boolean;
  disabled?: boolean;
  id?: string;
  className?: string;
}

/** A number to type: half-typed text stays as it is, and only a number within bounds is passed on; what is refused is said, and stands until it is mended. */
export function NumberField({ label, value, onChange, min, max, whole = false, disabled, id, className }: NumberFieldProps) {
  const [text, setText] = useState<string | null>(null);
  /** What was typed last, where it was left and could not be taken. */
  const [refused, setRefused] = useState<string | null>(null);
  const noteId = useId();
  const bounds = { min, max, whole };
  const read = text === null ? null : readNumber(text, bounds);
  const note = refused ?? (read && text?.trim() ? read.refusal : null);
  return (
    <span className="relative inline-flex flex-col items-end">
      <input
        id={id}
        inputMode={whole && min >= 0 ? "numeric" : "text"}
        autoComplete="off"
        spellCheck={false}
        aria-label={label}
        aria-invalid={note !== null || undefined}
        aria-describedby={note === null ? undefined : noteId}
        disabled={disabled}
        value={text ?? String(value)}
        onChange={(event) => {
          setRefused(null);
          setText(event.target.value);
          const next = readNumber(event.target.value, bounds).value;
          if (next !== null) onChange(next);
        }}
        onBlur={() => {
          if (read?.refusal && text?.trim()) setRefused(`${read.refusal} It stays ${value}.`);
          setText(null);
        }}
        className={cn(inputStyles, "num h-8 px-2 text-right text-sm", className)}
      />
      <span id={noteId} role="status" className={cn("mt-1 max-w-52 text-right text-bad text-xs", note === null && "sr-only")}>
        {note}
      </span>
    </span>
  );
}
