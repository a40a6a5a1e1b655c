"use client";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { type Firing, firingScale } from "@/components/image/firing";
import { HeatLegend } from "@/components/image/heat-legend";
import { engineOf } from "@/components/local-engine/engine-of";
import { useTabAnswer } from "@/components/local-engine/use-tab-answer";
import { type Picture, pictureFor } from "@/components/own-image/use-picture";
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
import { formatCount, formatNoun } from "@/lib/core/format";
import type { PromptFeatures } from "@/lib/core/prompt-features";
import { limits, type Message } from "@/lib/core/protocol";
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
  /** Null: words alone, which the model's own template takes without any sign of a picture. */
  picture: { picture: Picture; src: string; name: string } | null;
  dictionary: Dictionary;
  /** The words that are read; null until some are. */
  asked: string | null;
  onAsk: (words: string) => void;
}

/** Words of one's own, with a picture before them or without, read by the model in this tab, and what fires on every token. */
export function WordsView({ picture, dictionary, asked, onAsk }: WordsViewProps) {
  const client = useQueryClient();
  // With a picture something is read at once: what the model makes of it when asked the usual.
  const words = asked ?? (picture ? (suggested[0]?.text ?? null) : null);
  const [typed, setTyped] = useState({ for: words, text: words ?? suggested[0]?.text ?? "" });
  // Back and Forward bring other words.
  if (typed.for !== words) setTyped({ for: words, text: words ?? typed.text });
  const { ref } = dictionary;
  const read = async (text: string, signal: AbortSignal): Promise<Read> => {
    const [seen, { engine, names }] = await Promise.all([picture && pictureFor(picture.picture, signal), engineOf(client, ref, signal)]);
    const content: Message["content"] = [
      ...(seen ? [{ type: "image" as const, image: { sha256: seen.hash } }] : []),
      { type: "text", text },
    ];
    const pictures = new Map(seen ? [[seen.hash, seen.blob]] : []);
    const prompt = await engine.words({ dictionary: ref, messages: [{ role: "user", content }] }, pictures, signal);
    return { prompt, firings: nameFirings(prompt, names.items) };
  };
  const answer = useTabAnswer({
    key: ["words", ref, picture?.picture.id ?? null, words],
    ask: words === null ? null : (signal) => read(words, signal),
    keep: 3,
  });
  const ask = (text: string) => (text === words ? answer.error && answer.retry() : onAsk(text));
  return (
    <div className="flex flex-col gap-4">
      <form
        className="flex flex-wrap items-center gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          ask(typed.text);
        }}
      >
        <Input
          aria-label={picture ? "Words behind the picture" : "Words"}
          value={typed.text}
          maxLength={limits.textLength}
          onChange={(event) => setTyped({ for: words, text: event.target.value })}
          className="min-w-0 grow basis-72"
        />
        <Button type="submit" variant="primary" disabled={typed.text.trim() === "" || answer.busy}>
          {answer.busy ? "Reading…" : "Read"}
        </Button>
        <div className="flex w-full flex-wrap gap-1.5">
          {suggested.map((one) => (
            <Chip
              key={one.text}
              onClick={() => {
                setTyped({ for: words, text: one.text });
                ask(one.text);
              }}
            >
              {one.text}
            </Chip>
          ))}
        </div>
      </form>
      {answer.error && <ErrorState error={answer.error} onRetry={answer.retry} />}
      {answer.waits && (
        <p role="status" className="text-muted text-sm">
          {answer.waits}
        </p>
      )}
      {answer.data && <ReadPrompt key={textOf(answer.data)} read={answer.data} picture={picture} dictionary={dictionary} />}
    </div>
  );
}

const textOf = ({ prompt }: Read) => prompt.positions.map(({ text }) => text).join("\0");

const sidesOf = (picture: boolean) => ({
  inside: "chosen",
  outside: "rest",
  contrastWords: `Mean activation over the chosen tokens less the mean over all others.${picture ? " A cell of the picture counts by its painted share." : ""}`,
  insideWords: "Mean activation over the chosen tokens, zeros included.",
  outsideWords: `Mean activation over all other tokens${picture ? ", the picture's cells among them" : ""}.`,
});

/** The strip and the list that follows what is chosen in it. */
export function ReadPrompt({
  read,
  picture,
  dictionary,
}: {
  read: Read;
  /** What stands in the place of the prompt's image cells. */
  picture: { src: string; name: string } | null;
  dictionary: Pick<Dictionary, "ref" | "numLatents">;
}) {
  const { prompt, firings } = read;
  const { positions } = prompt;
  const [image] = prompt.images;
  const { rows, cols } = image ?? { rows: 1, cols: 1 };
  const [chosen, setChosen] = useState(noneChosen);
  const [held, setHeld] = useState<number | null>(null);
  const [glanced, setGlanced] = useState<number | null>(null);
  const painting = useRegion({ rows, cols, start: "", onCode: () => {}, enabled: image !== undefined, first: "box" });
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
        {picture && (
          <RegionPainter
            src={picture.src}
            alt={`Picture: ${picture.name}`}
            painting={painting}
            heat={onPicture}
            className="w-60 max-w-full"
          />
        )}
      </TokenStrip>
      <div className="flex flex-wrap items-center gap-x-6 gap-y-2">
        {image && (
          <div className="max-w-full grow basis-80">
            <RegionTools painting={painting} />
          </div>
        )}
        <HeatLegend shown={shown} className="min-h-16 min-w-0 grow basis-64 text-sm lg:max-w-96">
          Under each token stands the strongest feature on it that does not fire everywhere. Look at one in the list to see where it fires.
        </HeatLegend>
      </div>
      {nothing ? (
        <EmptyState title="Choose tokens">
          Press one or drag over several, Shift with an arrow by keyboard{image && "; paint the picture’s cells"}. Features are then ranked
          by how much more they fire there than elsewhere.
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
              sides={sidesOf(image !== undefined)}
              discreet
            />
          </div>
        </>
      )}
    </>
  );
}
