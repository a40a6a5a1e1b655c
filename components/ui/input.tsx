import type { ComponentProps } from "react";
import { cn } from "./cn";

export const inputStyles =
  "w-full min-w-0 rounded-md bg-raised px-3 text-ink ring-1 ring-line ring-inset placeholder:text-faint focus-visible:outline-2 focus-visible:outline-focus focus-visible:outline-offset-0 disabled:opacity-50 aria-invalid:ring-bad";

export function Input({ className, ...props }: ComponentProps<"input">) {
  return <input className={cn(inputStyles, "h-10", className)} {...props} />;
}

export function Textarea({ className, ...props }: ComponentProps<"textarea">) {
  return <textarea className={cn(inputStyles, "min-h-20 resize-y py-2", className)} {...props} />;
}
