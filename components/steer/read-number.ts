/** What a person typed as a number. */

export interface Bounds {
  min: number;
  max: number;
  /** Whole numbers only. */
  whole: boolean;
}

const shown = new Intl.NumberFormat("en-US");
const formatBound = (value: number) => shown.format(value).replace("-", "−");

/** The number, or null with a sentence that says which numbers can be taken. Decimal commas and typographic minus signs are read. */
export function readNumber(text: string, { min, max, whole }: Bounds): { value: number; refusal: null } | { value: null; refusal: string } {
  const value = text.trim() === "" ? Number.NaN : Number(text.trim().replace("−", "-").replace(",", "."));
  const typed = text.trim().length > 12 ? `${text.trim().slice(0, 12)}…` : text.trim();
  const kind = whole ? "a whole number" : "a number";
  if (!Number.isFinite(value) || (whole && !Number.isInteger(value))) return { value: null, refusal: `“${typed}” is not ${kind}.` };
  if (value < min || value > max) {
    return { value: null, refusal: `${typed} is outside ${formatBound(min)} to ${formatBound(max)}.` };
  }
  return { value, refusal: null };
}
