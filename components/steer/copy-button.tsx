"use client";
import { Check, Copy } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";

/** Copies a text; where the browser forbids it, selects it for the person to copy. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

interface CopyButtonProps {
  /** Made when pressed. What it throws is shown by `onError`, and nothing is copied. */
  text: () => string;
  children: string;
  onFailure?: (text: string) => void;
  onError?: (error: unknown) => void;
}

export function CopyButton({ text, children, onFailure, onError }: CopyButtonProps) {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <Button
      size="sm"
      onClick={async () => {
        let value: string;
        try {
          value = text();
        } catch (error) {
          onError?.(error);
          return;
        }
        if (!(await copyText(value))) {
          onFailure?.(value);
          return;
        }
        setCopied(true);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setCopied(false), 2_000);
      }}
    >
      {copied ? <Check aria-hidden /> : <Copy aria-hidden />}
      <span aria-live="polite">{copied ? "Copied" : children}</span>
    </Button>
  );
}
