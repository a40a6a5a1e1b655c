import { cn } from "./cn";

/** A quiet block in the place of what is coming; give it the size of that. */
export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cn("rounded-md bg-sunken motion-safe:animate-pulse", className)} />;
}
