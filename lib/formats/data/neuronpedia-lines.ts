/** The lines of Neuronpedia's export, one JSON object each. */
import { invalidFile } from "../source";
import { linesOf, parseEntry, textOf } from "./json-entries";

export interface NeuronpediaFiles {
  features: string[];
  explanations: string[];
  activations: string[];
}

/** Whose feature a line speaks of. */
export interface OriginLine {
  modelId?: unknown;
  layer?: unknown;
  index?: unknown;
}

/** What the first line said, and any other must say too. */
export interface Origin {
  modelId: string | null;
  source: string | null;
}

export const again = "Export or download it again.";

/** Every object of the files, with where it stands. A byte-order mark and empty lines are passed over. Throws `file_invalid`. */
export async function* linesOfFiles<T>(files: string[]): AsyncGenerator<{ where: string; line: T }> {
  for (const file of files) {
    let row = 0;
    for await (const text of linesOf(textOf(file))) {
      row++;
      if (text.trim() === "") continue;
      const line = parseEntry(file, `line ${row}`, text);
      if (typeof line !== "object" || line === null || Array.isArray(line))
        throw invalidFile(`${file}: line ${row} is no object.`, "Export it again.");
      yield { where: `${file}, line ${row}`, line: line as T };
    }
    if (row === 0) throw invalidFile(`${file} is empty.`, "Copy or download the file again, or remove it.");
  }
}

export function checkOrigin(where: string, line: OriginLine, { modelId, source }: Origin): void {
  for (const [key, said] of [
    ["modelId", modelId],
    ["layer", source],
  ] as const) {
    const own = line[key];
    if (typeof own === "string" && said !== null && own !== said) {
      throw invalidFile(`${where}: "${key}" is ${own}; the first line says ${said}.`, "Import each source by itself.");
    }
  }
}

/** The feature's number. Throws `file_invalid`. */
export function indexOf(where: string, value: unknown): number {
  const index = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index > 0x7fffffff) {
    throw invalidFile(`${where}: "index" is ${JSON.stringify(value)?.slice(0, 40)}; it must be a feature's number.`, again);
  }
  return index;
}

/** A list of finite numbers; empty where the key is absent or null. Throws `file_invalid`. */
export function numbersOf(where: string, key: string, value: unknown): number[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value) || value.some((one) => typeof one !== "number" || !Number.isFinite(one))) {
    throw invalidFile(`${where}: "${key}" holds what is no finite number.`, "Put numbers there, or leave the line out.");
  }
  return value as number[];
}
