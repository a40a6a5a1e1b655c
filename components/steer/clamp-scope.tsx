"use client";
import { Chip } from "@/components/ui/chip";
import { Segmented } from "@/components/ui/segmented";
import type { ImageRef, Scope } from "@/lib/core/protocol";
import type { LinkedClamp } from "@/lib/core/steer-link";
import { type NamedScope, scopeNames } from "./clamp-words";
import { type Grid, middleCells } from "./region";
import { RegionPad } from "./region-pad";

interface ClampScopeProps {
  clamp: LinkedClamp;
  /** The feature's name, read aloud. */
  spoken: string;
  dictionary: string;
  /** The request's pictures in their order, to paint on; null for one that is not here. */
  images: readonly (ImageRef | null)[];
  /** Of a picture; null where the model's is unknown. */
  grid: Grid | null;
  onChange: (scope: Scope) => void;
}

/** Where a clamp acts: a part of the request, or painted cells of one of its pictures. */
export function ClampScope({ clamp, spoken, dictionary, images, grid, onChange }: ClampScopeProps) {
  const { scope, feature } = clamp;
  const painted = scope.type === "region" ? scope : null;
  const image = painted && images[painted.image];
  return (
    <>
      <fieldset className="mt-3">
        <legend className="sr-only">Where {spoken} is clamped</legend>
        <div className="flex flex-wrap gap-1">
          {(Object.keys(scopeNames) as NamedScope[]).map((type) => (
            <Chip key={type} pressed={scope.type === type} onClick={() => onChange({ type })} className="px-2">
              {scopeNames[type].name}
            </Chip>
          ))}
          {((grid && images.length > 0) || painted) && (
            <Chip
              pressed={painted !== null}
              onClick={() => grid && !painted && onChange({ type: "region", image: 0, cells: middleCells(grid) })}
              className="px-2"
            >
              Cells
            </Chip>
          )}
        </div>
        <p className="mt-1.5 text-muted text-sm">
          {scope.type === "region" ? "At the painted cells of the picture only." : scopeNames[scope.type].explain}
        </p>
      </fieldset>
      {painted && images.length > 1 && (
        <Segmented
          label={`Which picture ${spoken} is painted on`}
          value={String(painted.image)}
          onChange={(next) => onChange({ ...painted, image: Number(next) })}
          options={images.map((_, i) => ({ value: String(i), name: `Picture ${i + 1}` }))}
          className="mt-2"
        />
      )}
      {painted && image && grid && (
        <RegionPad
          dictionary={dictionary}
          feature={feature}
          image={image}
          grid={grid}
          cells={painted.cells}
          onChange={(cells) => onChange({ ...painted, cells })}
        />
      )}
    </>
  );
}
