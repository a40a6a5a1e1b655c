/** Numbers as people read them: with a unit and enough digits, not more. A missing number is an en dash. */

export const missing = "–";

type Maybe = number | null | undefined;

const known = (value: Maybe): value is number => value !== null && value !== undefined && Number.isFinite(value);

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 2048 → "2,048". */
export function formatCount(value: Maybe): string {
  return known(value) ? whole.format(value) : missing;
}

/** 12345 → "12.3k", 2100000 → "2.1M"; below a thousand as it is. */
export function formatCompact(value: Maybe): string {
  if (!known(value)) return missing;
  const magnitude = Math.abs(value);
  for (const [unit, name] of [
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    // 999,950 rounds to "1M", not to "1000k".
    if (magnitude >= unit * 0.99995 || (magnitude >= unit && unit === 1e3)) return `${trimmed(value / unit, 3)}${name}`;
  }
  return formatCount(value);
}

/** Share 0..1 → "42 %", "4.2 %", "0.42 %", "<0.001 %"; two significant digits below ten, whole numbers above. */
export function formatPercent(share: Maybe): string {
  if (!known(share)) return missing;
  const percent = share * 100;
  const magnitude = Math.abs(percent);
  if (magnitude === 0) return "0 %";
  if (magnitude < 0.001) return percent > 0 ? "<0.001 %" : ">−0.001 %";
  // A share just short of the whole does not read as the whole.
  if (magnitude >= 99.5 && magnitude < 100) return `${withMinus(Math.floor(percent * 100) / 100)} %`;
  return `${trimmed(percent, magnitude >= 10 ? Math.max(2, digitsBefore(magnitude)) : 2)} %`;
}

/** Share 0..1 → "1 in 240"; "every" for one, "never" for none; above a half the share itself reads better. */
export function formatRate(share: Maybe): string {
  if (!known(share)) return missing;
  if (share <= 0) return "never";
  if (share >= 1) return "every";
  if (share > 0.5) return formatPercent(share);
  const every = 1 / share;
  return `1 in ${every < 10 ? trimmed(every, 2) : formatCount(Number(every.toPrecision(every < 1000 ? 3 : 2)))}`;
}

/** A raw activation: three significant digits, "0" for zero, plain up to a million. */
export function formatActivation(value: Maybe): string {
  if (!known(value)) return missing;
  if (value === 0) return "0";
  const magnitude = Math.abs(value);
  if (magnitude >= 1000) return formatCompact(value);
  if (magnitude < 0.001)
    return `${withMinus(Number(value.toExponential(1).split("e")[0]))}e${withMinus(Number(value.toExponential(1).split("e")[1]))}`;
  return withMinus(Number(value.toPrecision(3)));
}

/** A score between 0 and 1: always two decimals and no leading zero, so that columns line up (".71", "1.00"). */
export function formatScore(value: Maybe): string {
  if (!known(value)) return missing;
  const text = Math.abs(value).toFixed(2).replace(/^0\./, ".");
  return value < 0 && text !== ".00" ? `−${text}` : text;
}

/** A share between 0 and 1 kept to three digits without rounding up to 1: ".953", ".999". */
export function formatShare(value: Maybe): string {
  if (!known(value)) return missing;
  if (value >= 1) return "1";
  if (value <= 0) return "0";
  return (Math.min(999, Math.round(value * 1000)) / 1000).toFixed(3).replace(/^0\./, ".");
}

/** As wide as a digit, and as wide as a point, where figures are tabular. */
const [figureSpace, pointSpace] = ["\u2007", "\u2008"];

/** Decimals of a formatted number: 2 for "8.21", 0 for "12 %". */
export function decimalsOf(text: string): number {
  return /\.(\d+)/.exec(text)?.[1]?.length ?? 0;
}

/**
 * A formatted number with room behind it for `places` decimals, so that points stand under each other in a right-aligned column of tabular
 * figures; in one column the units must be equally wide.
 */
export function alignDecimals(text: string, places: number): string {
  const decimals = decimalsOf(text);
  if (decimals >= places) return text;
  return text + (decimals === 0 ? pointSpace : "") + figureSpace.repeat(places - decimals);
}

/** "1 feature", "2,048 features". */
export function formatNoun(value: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(value)} ${value === 1 ? noun : plural}`;
}

/** 417 → "#0417": as many digits as the dictionary's last index has, so that columns line up. */
export function formatIndex(index: number, numLatents = 0): string {
  return `#${String(index).padStart(String(Math.max(0, numLatents - 1)).length, "0")}`;
}

/** 0.4 s, 12 s, 3 min 20 s. */
export function formatSeconds(seconds: Maybe): string {
  if (!known(seconds)) return missing;
  if (seconds < 0.995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const rounded = Math.round(seconds);
  return `${Math.floor(rounded / 60)} min ${rounded % 60} s`;
}

const digitsBefore = (magnitude: number) => Math.floor(Math.log10(magnitude)) + 1;

function trimmed(value: number, significant: number): string {
  return withMinus(Number(value.toPrecision(significant)));
}

/** A real minus sign, and thousands apart. */
function withMinus(value: number): string {
  const text = Math.abs(value).toLocaleString("en-US", { maximumFractionDigits: 12 });
  return value < 0 ? `−${text}` : text;
}

/** A caption as it is printed: those that come as words and signs apart (“a hat , a bell .”) without the space before a sign. */
export function inPrint(caption: string | null | undefined): string | null {
  return caption?.replace(/(\S) ([,.;:!?])(?=\s|$)/gu, "$1$2") ?? null;
}
