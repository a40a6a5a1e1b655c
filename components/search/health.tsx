import { Anchor, CircleSlash, InfinityIcon, type LucideIcon } from "lucide-react";
import type { FeatureCard } from "@/lib/core/records";
import { flagNames } from "./metrics";

const glyphs: ReadonlyArray<{ flag: "dead" | "always_on" | "sink"; Glyph: LucideIcon; is: (card: FeatureCard) => boolean }> = [
  { flag: "dead", Glyph: CircleSlash, is: (card) => card.dead },
  { flag: "always_on", Glyph: InfinityIcon, is: (card) => card.alwaysOn },
  { flag: "sink", Glyph: Anchor, is: (card) => card.sink },
];

/** What is wrong with a feature, one glyph each; nothing for a healthy one. */
export function HealthGlyphs({ card }: { card: FeatureCard }) {
  return glyphs
    .filter(({ is }) => is(card))
    .map(({ flag, Glyph }) => (
      <span
        key={flag}
        role="img"
        aria-label={flagNames[flag].name}
        title={`${flagNames[flag].name}: ${flagNames[flag].explain}`}
        className="text-warn"
      >
        <Glyph className="size-4" aria-hidden />
      </span>
    ));
}
