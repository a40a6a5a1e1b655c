import { highlightPieces } from "@/lib/core/highlight";

/** A text with its matching words marked. */
export function Highlighted({ text }: { text: string }) {
  let at = 0;
  return highlightPieces(text).map((piece) => {
    const key = at;
    at += piece.text.length;
    return piece.match ? (
      <mark key={key} className="rounded-sm bg-accent-soft font-medium text-accent">
        {piece.text}
      </mark>
    ) : (
      <span key={key}>{piece.text}</span>
    );
  });
}
