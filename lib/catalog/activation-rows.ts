/** What a row of activations.parquet must be; what is not that is refused as `bundle_invalid`. */
import { bands } from "@/lib/core/records";
import type { activationColumns } from "@/lib/formats/bundle";
import { invalidBundle } from "@/lib/formats/manifest";
import type { Row } from "@/lib/formats/parquet";

/** A row of texts.parquet as it was stored. */
export interface StoredText {
  id: number;
  /** Tokens that it has. */
  length: number;
}

const imageBands = new Set<string>(bands);

type ActivationRow = Row<typeof activationColumns>;

/** An example lies on a picture or on tokens, on nothing else and not on both. */
export function checkSource(where: string, row: ActivationRow, images: Map<string, number>, texts: Map<number, StoredText>): void {
  if (row.band === "text") {
    const text = row.text === null ? undefined : texts.get(row.text);
    if (!text) throw invalidBundle(`${where} names the text ${row.text}, which the bundle lacks.`);
    if (row.image !== null) throw invalidBundle(`${where} names an image; its text names the one before it.`);
    if (row.rows !== 1 || row.cols !== text.length) {
      throw invalidBundle(
        `${where}: a grid of ${row.rows} × ${row.cols} lies over a text of ${text.length} tokens; it must be 1 × ${text.length}.`,
      );
    }
    return;
  }
  if (!imageBands.has(row.band)) throw invalidBundle(`${where}: the band is unknown.`);
  if (row.image === null || !images.has(row.image)) throw invalidBundle(`${where} names the image ${row.image}, which the bundle lacks.`);
  if (row.text !== null) throw invalidBundle(`${where} names a text, which only the band text may.`);
  if (row.rows < 1 || row.cols < 1) throw invalidBundle(`${where}: there is no grid of ${row.rows} × ${row.cols}.`);
}

/** Positions lie on the grid, and every activation is a finite number. */
export function checkMap(where: string, { positions, values, rows, cols }: ActivationRow): void {
  if (positions.byteLength !== values.byteLength || positions.byteLength % 2) {
    throw invalidBundle(
      `${where}: positions has ${positions.byteLength} bytes and values ${values.byteLength}; they must be equal and even.`,
    );
  }
  for (let i = 0; i < positions.byteLength; i += 2) {
    const position = (positions[i] as number) | ((positions[i + 1] as number) << 8);
    if (position >= rows * cols) throw invalidBundle(`${where}: position ${position} lies outside the grid of ${rows} × ${cols}.`);
    // All exponent bits set: infinity or NaN.
    if (((values[i + 1] as number) & 0x7c) === 0x7c) {
      throw invalidBundle(
        `${where}: the activation at position ${position} is not a finite number.`,
        "Activations above 65,504 do not fit fp16.",
      );
    }
  }
}
