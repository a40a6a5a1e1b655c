import { cn } from "@/components/ui/cn";
import { markDifferences, splitWords } from "@/lib/core/word-diff";

/** Marks of both texts, word by word, where there is another to compare with. */
export function marksOf(steered: string, baseline: string | null): { left: boolean[]; right: boolean[] } | null {
  return baseline === null ? null : markDifferences(splitWords(steered), splitWords(baseline));
}

/** A text with the words marked that another one lacks. */
export function MarkedText({ text, marks, className }: { text: string; marks: readonly boolean[] | null; className?: string }) {
  return (
    <span dir="auto" className={cn("break-words", className)}>
      {splitWords(text).map((word, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a word is its place in the text
        <span key={i}>
          {/^\s/.test(word) && " "}
          {marks?.[i] ? (
            <mark className="rounded-sm bg-accent-soft font-medium text-inherit underline decoration-2 decoration-accent underline-offset-4">
              {word.trim()}
            </mark>
          ) : (
            word.trim()
          )}
        </span>
      ))}
    </span>
  );
}
