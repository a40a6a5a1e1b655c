"use client";
import { useState } from "react";
import { cn } from "@/components/ui/cn";
import { inputStyles } from "@/components/ui/input";

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

const read = (text: string) => (text.trim() === "" ? Number.NaN : Number(text.replace("−", "-").replace(",", ".")));

/** A number to type: half-typed text stays as it is, and only a number within bounds is passed on. */
export function NumberField({ label, value, onChange, min, max, whole = false, disabled, id, className }: NumberFieldProps) {
  const [text, setText] = useState<string | null>(null);
  const typed = text === null ? value : read(text);
  const valid = Number.isFinite(typed) && typed >= min && typed <= max && (!whole || Number.isInteger(typed));
  return (
    <input
      id={id}
      inputMode={whole && min >= 0 ? "numeric" : "text"}
      autoComplete="off"
      spellCheck={false}
      aria-label={label}
      aria-invalid={!valid || undefined}
      title={valid ? undefined : `A ${whole ? "whole " : ""}number from ${min} to ${max}`}
      disabled={disabled}
      value={text ?? String(value)}
      onChange={(event) => {
        setText(event.target.value);
        const next = read(event.target.value);
        if (Number.isFinite(next) && next >= min && next <= max && (!whole || Number.isInteger(next))) onChange(next);
      }}
      onBlur={() => setText(null)}
      className={cn(inputStyles, "num h-8 px-2 text-right text-sm", className)}
    />
  );
}
