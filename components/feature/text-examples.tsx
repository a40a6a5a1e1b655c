"use client";
import { type KeyboardEvent, useMemo, useState } from "react";
import { ColorScale } from "@/components/heatmap/color-scale";
import { useTheme } from "@/components/shell/theme";
import { alignDecimals, decimalsOf, formatActivation } from "@/lib/core/format";
import type { TextExample } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { decodeMap, toDense } from "@/lib/core/sparse-map";
import { textScale } from "./pictures";
import { tokenTint } from "./token-tint";

interface TextExamplesProps {
  texts: TextExample[];
  /** Where the value of the token looked at goes besides the scale; null when none is. */
  onValue: (value: number | null) => void;
}

/** Token strings tinted by activation, on a scale of their own. */
export function TextExamples({ texts, onValue }: TextExamplesProps) {
  const [value, setValue] = useState<number | null>(null);
  const max = textScale({ texts, examples: { top: [], upper: [], middle: [], lower: [], random: [] } });
  const places = Math.max(0, ...texts.map((text) => decimalsOf(formatActivation(text.peak))));
  const look = (next: number | null) => {
    setValue(next);
    onValue(next);
  };
  return (
    <div className="space-y-4">
      <ColorScale max={max} value={value} label="activation on text" className="max-w-72" />
      <ol className="divide-y divide-line">
        {texts.map((text, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: examples have no identity but their rank
          <TokenString key={i} text={text} max={max} places={places} onValue={look} />
        ))}
      </ol>
    </div>
  );
}

interface TokenStringProps {
  text: TextExample;
  max: number;
  /** Decimals of the peaks beside each other. */
  places: number;
  onValue: (value: number | null) => void;
}

/** One text. Its active tokens are one tab stop, walked by the arrow keys. */
function TokenString({ text, max, places, onValue }: TokenStringProps) {
  const theme = useTheme();
  const dense = useMemo(() => toDense(decodeMap(text.map), 1, text.tokens.length), [text]);
  const active = useMemo(() => [...dense.keys()].filter((i) => (dense[i] ?? 0) > 0), [dense]);
  const [stop, setStop] = useState(() => active.reduce((best, i) => ((dense[i] ?? 0) > (dense[best] ?? 0) ? i : best), active[0] ?? -1));

  const walk = (event: KeyboardEvent<HTMLElement>, at: number) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const next = active[active.indexOf(at) + step];
    event.preventDefault();
    if (next === undefined) return;
    setStop(next);
    event.currentTarget.parentElement?.querySelector<HTMLElement>(`[data-token="${next}"]`)?.focus();
  };

  return (
    <li className="flex items-start gap-4 py-3 first:pt-0">
      {text.image && (
        // biome-ignore lint/performance/noImgElement: content-addressed and already small; the optimiser would only re-encode it
        <img
          src={routes.api.image(text.image)}
          alt="What came before the text"
          loading="lazy"
          className="size-16 shrink-0 rounded-sm bg-sunken object-contain"
        />
      )}
      <p dir="auto" className="min-w-0 grow break-words leading-8">
        {text.tokens.map((token, i) => {
          const value = dense[i] ?? 0;
          const tint = tokenTint(value, max, theme);
          // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place in the text
          if (!tint) return <Piece key={i} token={token} />;
          return (
            <button
              // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place in the text
              key={i}
              type="button"
              data-token={i}
              tabIndex={i === stop ? 0 : -1}
              aria-label={`${token.trim() || "space"}: activation ${formatActivation(value)}`}
              title={formatActivation(value)}
              onPointerEnter={() => onValue(value)}
              onPointerLeave={() => onValue(null)}
              onFocus={() => {
                setStop(i);
                onValue(value);
              }}
              onBlur={() => onValue(null)}
              onKeyDown={(event) => walk(event, i)}
              className="cursor-default whitespace-pre-wrap rounded-sm text-left leading-6 [font:inherit]"
              style={{ background: tint.background, color: tint.ink }}
            >
              {visible(token)}
            </button>
          );
        })}
      </p>
      <span className="num shrink-0 pt-1.5 text-muted text-sm">
        <span className="sr-only">peak activation </span>
        {alignDecimals(formatActivation(text.peak), places)}
      </span>
    </li>
  );
}

function Piece({ token }: { token: string }) {
  return <span className="whitespace-pre-wrap text-muted">{visible(token)}</span>;
}

/** Line breaks are tokens too: shown as a sign, since the text runs on. */
function visible(token: string): string {
  return token.replaceAll("\n", "↵");
}
