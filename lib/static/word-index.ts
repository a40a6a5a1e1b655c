/** The words of a dictionary's labels and explanations in a tab, with the places where they stand. */
import type { WordsFile } from "./layout";
import type { Entry, Operand } from "./text-query";

const none: ReadonlyMap<number, Entry> = new Map();

export class WordIndex {
  readonly documents: WordsFile["documents"];
  /** Word forms in order. */
  readonly #sorted: string[];
  /** By word form, by document. */
  readonly #entries = new Map<string, Map<number, Entry>>();

  constructor({ documents, words }: WordsFile) {
    this.documents = documents;
    for (const [word, codes] of Object.entries(words)) {
      const byDocument = new Map<number, Entry>();
      for (let i = 0; i + 1 < codes.length; i += 2) {
        const [document, code] = [codes[i] as number, codes[i + 1] as number];
        const entry = byDocument.get(document) ?? { word, places: [], inLabel: [] };
        entry.places.push(code >> 1);
        entry.inLabel.push((code & 1) === 1);
        byDocument.set(document, entry);
      }
      this.#entries.set(word, byDocument);
    }
    this.#sorted = [...this.#entries.keys()].sort();
    this.vocabulary = this.#sorted.filter((word) => {
      const length = [...word].length;
      return length >= 3 && length <= 60 && /\p{L}/u.test(word);
    });
  }

  /** Word forms that a mistyped one may stand for: what is shorter or longer is nobody's typo. */
  readonly vocabulary: readonly string[];

  #wordsOf({ word, prefix }: Operand): string[] {
    return prefix ? this.#sorted.filter((one) => one.startsWith(word)) : [word];
  }

  entryOf(word: string, document: number): Entry | undefined {
    return this.#entries.get(word)?.get(document);
  }

  /** By document, what an operand stands for. */
  entriesOf(operand: Operand): Map<number, Entry[]> {
    const found = new Map<number, Entry[]>();
    for (const word of this.#wordsOf(operand)) {
      for (const [document, entry] of this.#entries.get(word) ?? none) {
        const known = found.get(document);
        if (known) known.push(entry);
        else found.set(document, [entry]);
      }
    }
    return found;
  }
}
