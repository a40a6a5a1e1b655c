import {
  Box,
  CircleDashed,
  CircleHelp,
  Crosshair,
  Footprints,
  Grid2x2,
  Layers,
  type LucideIcon,
  Mountain,
  Palette,
  Puzzle,
  Smile,
  Type,
} from "lucide-react";
import { cn } from "@/components/ui/cn";
import type { Concept } from "@/lib/core/records";

/** A glyph and a hue (app/globals.css) for each class, so that neither alone has to tell. */
const glyphs: Record<Concept, LucideIcon> = {
  object: Box,
  part: Puzzle,
  scene: Mountain,
  material: Layers,
  texture: Grid2x2,
  colour: Palette,
  emotion: Smile,
  text: Type,
  position: Crosshair,
  action: Footprints,
  other: CircleDashed,
};

export function ConceptGlyph({ concept, className }: { concept: Concept | null; className?: string }) {
  const Glyph = concept ? glyphs[concept] : CircleHelp;
  return (
    <Glyph
      aria-hidden
      className={cn("size-4 shrink-0", className)}
      style={{ color: concept && concept !== "other" ? `var(--concept-${concept})` : "var(--ink-faint)" }}
    />
  );
}
