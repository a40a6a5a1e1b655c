"use client";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ColorScale } from "@/components/heatmap/color-scale";
import { type Firing, firingScale } from "@/components/image/firing";
import { failedInTab, loadInTab } from "@/components/local-engine/in-tab";
import { ContrastList } from "@/components/region/contrast-list";
import { RegionPainter } from "@/components/region/region-painter";
import { RegionTools } from "@/components/region/region-tools";
import { useRegion } from "@/components/region/use-region";
import { useKeys } from "@/components/shell/use-keys";
import { questions } from "@/components/steer/questions";
import { Button } from "@/components/ui/button";
import { Chip } from "@/components/ui/chip";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { Input } from "@/components/ui/input";
import { enginePackageQueryOptions, featureNamesQueryOptions } from "@/lib/api/engine";
import { FacetError } from "@/lib/core/errors";
import { formatCount, formatNoun } from "@/lib/core/format";
import type { PromptFeatures } from "@/lib/core/prompt-features";
import { limits } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import { rankByContrast } from "@/lib/core/region-contrast";
import { routes } from "@/lib/core/routes";
import { TokenStrip } from "./token-strip";
import { nameFirings, noneChosen, strongestAt, weightsOf } from "./tokens";

const suggested = questions(null, null).slice(0, 4);

export interface Read {
  prompt: PromptFeatures;
  firings: Firing[];
}

interface WordsViewProps {
  picture: File;
  sha256: string;
  dictionary: Dictionary;
}

/** A picture with words of one's own behind it, read by the model in this tab, and what fires on every token of both. */
export function WordsView({ picture, sha256, dictionary }: WordsViewProps) {
  const client = useQueryClient();
  const [text, setText] = useState(suggested[0]?.text ?? "");
  const [read, setRead] = useState<Read | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<FacetError | null>(null);
  const turn = useRef<AbortController>(null);
  const look = useCallback(
    async (words: string) => {
      turn.current?.abort();
      const mine = new AbortController();
      turn.current = mine;
      setBusy(true);
      setError(null);
      try {
        const [pack, names] = await Promise.all([
          client.fetchQuery(enginePackageQueryOptions(dictionary.ref)),
          client.fetchQuery(featureNamesQueryOptions(dictionary.ref)),
        ]);
        if (!pack) throw new FacetError("engine_unavailable", `This server has no model files for ${dictionary.ref}.`);
        const engine = await loadInTab(pack);
        const content = [
          { type: "image" as const, image: { sha256 } },
          { type: "text" as const, text: words },
        ];
        const request = { dictionary: dictionary.ref, messages: [{ role: "user" as const, content }] };
        const prompt = await engine.words(request, new Map([[sha256, picture]]), mine.signal);
        if (!mine.signal.aborted) setRead({ prompt, firings: nameFirings(prompt, names.items) });
      } catch (thrown) {
        const failed = failedInTab(thrown);
        if (!mine.signal.aborted && failed.code !== "cancelled") setError(failed);
      } finally {
        if (!mine.signal.aborted) setBusy(false);
      }
    },
    [client, dictionary.ref, picture, sha256],
  );
  const begin = useRef(text);
  useEffect(() => {
    void look(begin.current);
    return () => turn.current?.abort();
  }, [look]);
  const ask = (words: string) => {
    setText(words);
    void look(words);
  };
  return (
    <div className="flex flex-col gap-4">
      <form
        className="flex flex-wrap items-center gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          void look(text);
        }}
      >
        <Input
          aria-label="Words behind the picture"
          value={text}
          maxLength={limits.textLength}
          onChange={(event) => setText(event.target.value)}
          className="min-w-0 grow basis-72"
        />
        <Button type="submit" variant="primary" disabled={text.trim() === "" || busy}>
          {busy ? "Reading…" : "Read"}
        </Button>
        <div className="flex w-full flex-wrap gap-1.5">
          {suggested.map((one) => (
            <Chip key={one.text} onClick={() => ask(one.text)}>
              {one.text}
            </Chip>
          ))}
        </div>
      </form>
      {error && <ErrorState error={error} onRetry={() => void look(text)} />}
      {!read && !error && (
        <p role="status" className="text-muted text-sm">
          The model reads the picture and the words…
        </p>
      )}
      {read && <ReadPrompt key={textOf(read)} read={read} picture={picture} dictionary={dictionary} />}
    </div>
  );
}

const textOf = ({ prompt }: Read) => prompt.positions.map(({ text }) => text).join("\0");

const sides = {
  inside: "chosen",
  outside: "rest",
  contrastWords: "Mean activation over the chosen tokens less the mean over all others. A cell of the picture counts by its painted share.",
  insideWords: "Mean activation over the chosen tokens, zeros included.",
  outsideWords: "Mean activation over all other tokens, the picture's cells among them.",
};

/** The strip and the list that follows what is chosen in it. */
export function ReadPrompt({
  read,
  picture,
  dictionary,
}: {
  read: Read;
  picture: File;
  dictionary: Pick<Dictionary, "ref" | "numLatents">;
}) {
  const { prompt, firings } = read;
  const { positions } = prompt;
  const [image] = prompt.images;
  const { rows, cols } = image ?? { rows: 1, cols: 1 };
  const [chosen, setChosen] = useState(noneChosen);
  const [held, setHeld] = useState<number | null>(null);
  const [glanced, setGlanced] = useState<number | null>(null);
  const [src, setSrc] = useState<string | null>(null);
  useEffect(() => {
    const url = URL.createObjectURL(picture);
    setSrc(url);
    return () => URL.revokeObjectURL(url);
  }, [picture]);
  const painting = useRegion({ rows, cols, start: "", onCode: () => {}, enabled: true, first: "box" });
  const strongest = useMemo(() => strongestAt(firings, positions.length, 3), [firings, positions.length]);
  const weights = useMemo(
    () => weightsOf(positions.length, chosen.on, image ? { start: image.start, cover: painting.cover } : null),
    [positions.length, chosen.on, image, painting.cover],
  );
  const nothing = chosen.on.size === 0 && painting.empty;
  const ranked = useMemo(() => (nothing ? [] : rankByContrast(firings, weights)), [firings, weights, nothing]);
  const shown = firings.find(({ index }) => index === (glanced ?? held)) ?? null;
  const heat = useMemo(() => (shown ? { dense: shown.dense, max: firingScale(shown) } : null), [shown]);
  const onPicture = useMemo(
    () => (heat && image ? { ...heat, dense: heat.dense.slice(image.start, image.start + rows * cols) } : null),
    [heat, image, rows, cols],
  );
  const hrefOf = useCallback((index: number) => routes.feature(dictionary.ref, index), [dictionary.ref]);
  const release = () => {
    if (held === null && chosen.on.size === 0) return false;
    setHeld(null);
    setChosen(noneChosen);
  };
  useKeys({ Escape: release });
  const cells = painting.cover.reduce((sum, share) => sum + share, 0);
  return (
    <>
      {prompt.unknown.length > 0 && (
        <p role="note" className="rounded-md bg-sunken px-3 py-2 text-sm">
          The model has no token for {prompt.unknown.map((word) => `“${word}”`).join(", ")} and reads a mark for unknown words there.
        </p>
      )}
      <TokenStrip positions={positions} strongest={strongest} heat={heat} chosen={chosen} onChosen={setChosen}>
        {src && (
          <RegionPainter src={src} alt={`Your picture ${picture.name}`} painting={painting} heat={onPicture} className="w-60 max-w-full" />
        )}
      </TokenStrip>
      <div className="flex flex-wrap items-center gap-x-6 gap-y-2">
        <div className="max-w-full grow basis-80">
          <RegionTools painting={painting} />
        </div>
        <div className="min-h-16 min-w-0 grow basis-64 text-sm lg:max-w-96">
          {shown && heat ? (
            <>
              <p dir="auto" className="truncate font-medium">
                {shown.label ?? `Feature #${shown.index}`}
              </p>
              <ColorScale max={heat.max} value={shown.peak} label="activation (peak)" className="mt-1 min-w-0" />
            </>
          ) : (
            <p className="text-muted">
              Under each token stands the strongest feature on it that does not fire everywhere. Look at one in the list to see where it
              fires.
            </p>
          )}
        </div>
      </div>
      {nothing ? (
        <EmptyState title="Choose tokens">
          Press one or drag over several, Shift with an arrow by keyboard; paint the picture&rsquo;s cells. Features are then ranked by how
          much more they fire there than elsewhere.
        </EmptyState>
      ) : (
        <>
          <p className="num text-muted text-sm" aria-live="polite">
            {[
              chosen.on.size > 0 && formatNoun(chosen.on.size, "token"),
              cells > 0 && `${formatCount(Math.round(10 * cells) / 10)} of ${rows * cols} cells`,
            ]
              .filter(Boolean)
              .join(" and ")}{" "}
            chosen: {formatNoun(ranked.length, "feature")} of {formatCount(firings.length)} fire{ranked.length === 1 ? "s" : ""} more there
            than on the rest of the {formatCount(positions.length)} positions.
          </p>
          <div className="max-w-3xl">
            <ContrastList
              rows={ranked}
              numLatents={dictionary.numLatents}
              hrefOf={hrefOf}
              held={held}
              onHold={setHeld}
              onLook={setGlanced}
              sought={null}
              onSeek={() => {}}
              full={false}
              sides={sides}
              discreet
            />
          </div>
        </>
      )}
    </>
  );
}
