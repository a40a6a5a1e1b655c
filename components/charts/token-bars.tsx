import { alignDecimals, decimalsOf, formatActivation } from "@/lib/core/format";
import { barShares } from "./token-bars-marks";

interface TokenBarsProps {
  tokens: { token: string; value: number }[];
  /** Of the list, read aloud. */
  label: string;
}

/** Tokens with a bar each, the longest for the largest magnitude. Negative values point the same way in another colour. */
export function TokenBars({ tokens, label }: TokenBarsProps) {
  const shares = barShares(tokens.map((entry) => entry.value));
  const values = tokens.map((entry) => formatActivation(Number(entry.value.toPrecision(2))));
  const places = Math.max(0, ...values.map(decimalsOf));
  return (
    <ol aria-label={label} className="grid grid-cols-[minmax(0,max-content)_minmax(2rem,1fr)_auto] items-center gap-x-2 gap-y-1 text-sm">
      {tokens.map((entry, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two tokens may look alike, their rank is their identity
        <li key={i} className="contents">
          <span dir="auto" className="max-w-28 truncate whitespace-pre font-mono" title={entry.token}>
            {entry.token.replaceAll("\n", "↵").replace(/^ /, "") || "␣"}
          </span>
          <span aria-hidden className="h-1.5 min-w-0">
            <span
              className={`block h-full rounded-full ${entry.value < 0 ? "bg-negative" : "bg-positive"}`}
              style={{ width: `${100 * (shares[i] ?? 0)}%` }}
            />
          </span>
          <span className="num text-right text-muted">{alignDecimals(values[i] ?? "", places)}</span>
        </li>
      ))}
    </ol>
  );
}
