"use client";
import { useCallback, useMemo, useState } from "react";
import type { Firing } from "@/components/image/firing";
import { EmptyState } from "@/components/ui/empty-state";
import { mostSought } from "@/lib/api/region-pictures";
import { formatNoun, formatPercent } from "@/lib/core/format";
import { rankByContrast } from "@/lib/core/region-contrast";
import { isStatic } from "@/lib/core/routes";
import { AllPictures } from "./all-pictures";
import { ContrastList, type ContrastRow } from "./contrast-list";
import { FoundPictures } from "./found-pictures";
import type { Painting } from "./use-region";

/** Features that other pictures are looked for with, until somebody chooses. */
const usual = 5;

interface RegionResultsProps {
  painting: Painting;
  /** Everything that fires on the picture. */
  firings: readonly Firing[];
  dictionary: { ref: string; numLatents: number };
  hrefOf: (index: number) => string;
  held: number | null;
  onHold: (index: number | null) => void;
  onLook: (index: number | null) => void;
  /** A catalogue picture's hash, which is left out of what is found. */
  picture?: string;
  /** Nothing is asked of the server before somebody says so, and the page says how the model in this tab is. */
  discreet?: boolean;
  /** The page says already how the model in this tab is. */
  panelled?: boolean;
}

/** The features whose pictures are sought at first: the strongest contrasts of those that do not fire everywhere. */
export function usuallySought(rows: readonly ContrastRow[]): number[] {
  const telling = rows.filter(({ feature }) => !feature.alwaysOn && !feature.sink);
  return telling.slice(0, usual).map(({ feature }) => feature.index);
}

/** What is inside the region and not outside, and other pictures that have it there. */
export function RegionResults(props: RegionResultsProps) {
  const { painting, firings, dictionary, picture, discreet, panelled, held, onHold, onLook, hrefOf } = props;
  const { region, cover, empty, code } = painting;
  const rows = useMemo(() => (empty ? [] : rankByContrast(firings, cover)), [firings, cover, empty]);
  /** Chosen for one region; another one starts anew. */
  const [chosen, setChosen] = useState<{ for: string; sought: readonly number[] } | null>(null);
  const sought = useMemo(() => (chosen?.for === code ? chosen.sought : usuallySought(rows)), [chosen, code, rows]);
  const maxima = useMemo(() => new Map(firings.map(({ index, maxActivation }) => [index, maxActivation])), [firings]);
  const maximumOf = useCallback((index: number) => maxima.get(index) ?? null, [maxima]);
  const ordered = useMemo(() => sought.toSorted((a, b) => a - b), [sought]);
  // What looks through all pictures goes on while another region is painted.
  const all = (
    <AllPictures
      dictionary={dictionary.ref}
      region={empty ? null : region}
      code={code}
      features={ordered}
      maximumOf={maximumOf}
      without={picture}
      discreet={discreet}
      panelled={panelled || discreet}
    />
  );
  if (empty) {
    return (
      <>
        <EmptyState title="Paint over a part of the picture">
          What fires inside it and not outside is listed here. Drag with the brush, a box or the lasso; by keyboard, arrow keys move over
          the cells and Space paints.
        </EmptyState>
        {all}
      </>
    );
  }
  const covered = cover.reduce((sum, share) => sum + share, 0);
  return (
    <>
      <p className="num mb-3 text-muted text-sm" aria-live="polite">
        {formatPercent(covered / cover.length)} of the picture painted: {formatNoun(rows.length, "feature")} of {firings.length} listed fire
        {rows.length === 1 ? "s" : ""} more inside than outside. Means are raw activation.
        {painting.tooRagged && " The region is too ragged for this page's address."}
      </p>
      {rows.length > 0 ? (
        <ContrastList
          rows={rows}
          numLatents={dictionary.numLatents}
          hrefOf={hrefOf}
          held={held}
          onHold={onHold}
          onLook={onLook}
          sought={new Set(sought)}
          full={sought.length >= mostSought}
          onSeek={(index, on) => setChosen({ for: code, sought: on ? [...sought, index] : sought.filter((one) => one !== index) })}
          discreet={discreet}
        />
      ) : (
        <EmptyState title="Nothing listed fires more inside than outside">Paint another part.</EmptyState>
      )}
      <FoundPictures
        question={{ dictionary: dictionary.ref, features: ordered, region: code, without: picture }}
        maximumOf={maximumOf}
        notice={
          discreet
            ? isStatic
              ? "Reads the stored examples of these features out of this copy's files; nothing of the picture is sent."
              : `Sends the server the numbers of ${sought.length === 1 ? "this feature" : `these ${sought.length} features`} and the region's outline, and nothing of the picture.`
            : undefined
        }
      />
      {all}
    </>
  );
}
