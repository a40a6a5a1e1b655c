/** `activations/`: the strongest examples of each feature, on texts that are each stored once. */
import { deserialize, serialize } from "node:v8";
import { encodeBytes } from "@/lib/core/sparse-map";
import type { activationColumns, textColumns } from "../bundle";
import type { Row, Table } from "../parquet";
import { invalidFile } from "../source";
import { halfMax } from "./examples";
import { again, checkOrigin, indexOf, linesOfFiles, numbersOf, type Origin, type OriginLine } from "./neuronpedia-lines";
import { keyOf, NumberMap } from "./number-map";
import { Spool, spooledTable } from "./spool";
import { RecordFile } from "./temp-file";

export interface ActivationLine extends OriginLine {
  tokens?: unknown;
  values?: unknown;
  maxValue?: unknown;
}

/** Examples that a feature keeps, the strongest. */
export const keep = 20;

interface TextExample {
  tokens: string[];
  values: number[];
}

function exampleOf(where: string, line: ActivationLine): TextExample & { peak: number } {
  const { tokens } = line;
  if (!Array.isArray(tokens) || tokens.length === 0 || tokens.some((one) => typeof one !== "string")) {
    throw invalidFile(`${where}: "tokens" is no list of strings.`, again);
  }
  const values = numbersOf(where, "values", line.values);
  if (values.length !== tokens.length) {
    throw invalidFile(`${where}: ${tokens.length} tokens have ${values.length} values.`, again);
  }
  if (tokens.length > 32_767)
    throw invalidFile(`${where}: ${tokens.length} tokens are more than a text may have (32,767).`, "Shorten the text.");
  const peak = values.reduce((most, value) => Math.max(most, value), 0);
  if (values.some((value) => Math.abs(value) > halfMax)) {
    throw invalidFile(`${where}: an activation of ${peak} does not fit the fp16 of maps (65,504).`, "Scale the activations down.");
  }
  return { tokens: tokens as string[], values, peak };
}

/** The strongest examples of one feature: peaks, and where each waits on disk, strongest first; of equal ones the earlier. */
class Strongest {
  readonly peaks = new Float64Array(keep);
  readonly places = new Float64Array(keep);
  count = 0;

  /** Whether an example of this peak is among them. */
  takes(peak: number): boolean {
    return this.count < keep || peak > (this.peaks[keep - 1] as number);
  }

  add(peak: number, place: number): void {
    let at = Math.min(this.count, keep - 1);
    for (; at > 0 && peak > (this.peaks[at - 1] as number); at--) {
      this.peaks[at] = this.peaks[at - 1] as number;
      this.places[at] = this.places[at - 1] as number;
    }
    this.peaks[at] = peak;
    this.places[at] = place;
    this.count = Math.min(this.count + 1, keep);
  }
}

export interface ReadExamples {
  examples: Table<typeof activationColumns>;
  texts: Table<typeof textColumns>;
  /** Examples beyond those that are kept. */
  left: number;
  /** The largest feature that was named; -1 where none was. */
  last: number;
}

/**
 * Reads and checks every line. The features of one file are gathered at once, as the export keeps a feature's lines in one file; what they
 * keep waits on disk. Throws `file_invalid`.
 */
export async function readExamples(path: string, files: string[], origin: Origin, signal?: AbortSignal): Promise<ReadExamples> {
  const examples = new Spool<Row<typeof activationColumns>>();
  const texts = new Spool<Row<typeof textColumns>>();
  /** Text → its number; feature → the file that it was in. */
  const numbers = new NumberMap();
  const done = new NumberMap();
  const waiting = new RecordFile();
  let [left, last] = [0, -1];

  function textOf(tokens: string[]): number {
    const key = keyOf(JSON.stringify(tokens));
    const known = numbers.get(key);
    if (known !== undefined) return known;
    const text = numbers.size;
    numbers.set(key, text);
    texts.add({ id: text, tokens, image: null });
    return text;
  }

  function write(index: number, rank: number, peak: number, { tokens, values }: TextExample): void {
    const active = values.flatMap((value, i) => (value !== 0 ? [i] : []));
    const map = { positions: Uint16Array.from(active), values: Float32Array.from(active, (i) => values[i] as number) };
    const mean = values.reduce((total, value) => total + Math.max(0, value), 0) / values.length;
    const place = { index, band: "text", rank, image: null, text: textOf(tokens), rows: 1, cols: tokens.length };
    examples.add({ ...place, peak, mean, ...encodeBytes(map) });
  }

  for (const [number, file] of files.entries()) {
    const best = new Map<number, Strongest>();
    for await (const { where, line } of linesOfFiles<ActivationLine>([file])) {
      signal?.throwIfAborted();
      checkOrigin(where, line, origin);
      const index = indexOf(where, line.index);
      const earlier = done.get([0, index]);
      if (earlier !== undefined && earlier !== number) {
        throw invalidFile(
          `${where}: activations of feature ${index} are in ${files[earlier]} too.`,
          "Put the lines of one feature into one file.",
        );
      }
      done.set([0, index], number);
      last = Math.max(last, index);
      const mine = best.get(index) ?? new Strongest();
      best.set(index, mine);
      const { tokens, values, peak } = exampleOf(where, line);
      if (peak <= 0) continue;
      if (mine.count === keep) left++;
      if (mine.takes(peak)) mine.add(peak, waiting.add(serialize({ tokens, values: Float64Array.from(values) })));
    }
    for (const [index, { count, peaks, places }] of best) {
      for (let rank = 0; rank < count; rank++) {
        const { tokens, values } = deserialize(waiting.read(places[rank] as number)) as { tokens: string[]; values: Float64Array };
        write(index, rank, peaks[rank] as number, { tokens, values: Array.from(values) });
      }
    }
    waiting.clear();
  }
  return { examples: spooledTable(path, examples, (row) => row), texts: spooledTable(path, texts, (row) => row), left, last };
}
