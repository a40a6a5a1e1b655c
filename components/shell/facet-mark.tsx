/** The mark: a cut stone, its three faces in the two ends of the heat and the accent. */
export function FacetMark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" className={className} aria-hidden>
      <path d="M16 2 28 9l-12 7L4 9z" className="fill-accent" />
      <path d="M16 16 28 9v14l-12 7z" className="fill-negative" />
      <path d="M16 16v14L4 23V9z" fill="#8a2d6f" />
    </svg>
  );
}
