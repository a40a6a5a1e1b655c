/** The lines of Neuronpedia's export, one JSON object each. */
import { invalidFile } from "../source";
import { linesOf, parseEntry, textOf } from "./json-entries";

export interface NeuronpediaFiles {
  features: string[];
  explanations: string[];
  activations: string[];
}

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
