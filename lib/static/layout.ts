/** Where the files of a static copy lie, from its root on, and what the lists among them hold. The writer and the tab share this. */
import type { ExperimentSummary } from "@/lib/core/experiment";
import type { Dictionary, FeatureCard, FeatureDetail, ImageExample, ImageInfo, TextExample } from "@/lib/core/records";

/** Features and pictures of one folder: hosts put a bound on the files of a folder. */
const aFolder = 1_000;

const at = (ref: string, name: string) => `data/d/${ref}/${name}`;
const inFolders = (ref: string, kind: string, number: number) => at(ref, `${kind}/${Math.floor(number / aFolder)}/${number}.json`);

export const files = {
  /** `{ items: Dictionary[] }`, as `/api/dictionaries` answers. */
  dictionaries: () => "data/dictionaries.json",
  home: () => "data/home.json",
  stories: () => "data/stories.json",
  images: () => "data/images.json",
  experiments: () => "data/experiments.json",
  experiment: (id: string) => `data/experiments/${id}.json`,
  list: (ref: string) => at(ref, "list.json"),
  /** What is searched: read with the first search. */
  words: (ref: string) => at(ref, "words.json"),
  histograms: (ref: string) => at(ref, "histograms.json"),
  engine: (ref: string) => at(ref, "engine.json"),
  card: (ref: string, index: number) => inFolders(ref, "cards", index),
  feature: (ref: string, index: number) => inFolders(ref, "features", index),
  /** The features whose examples lie on a picture, as `/api/analyse` answers where no engine is. */
  onImage: (ref: string, sha256: string) => at(ref, `images/${sha256.slice(0, 2)}/${sha256}.json`),
  /** Bytes of a picture. Whatever its format: browsers go by the content. */
  image: (sha256: string) => `api/images/${sha256}.webp`,
  engineFile: (sha256: string, name: string) => `api/engine/files/${sha256}/${name}`,
} as const;

export type DictionariesFile = { items: Dictionary[] };

/** All of a card that its pictures are not. */
export type PlainCard = Omit<FeatureCard, "top" | "text" | "match">;

/** Every feature of a dictionary by columns, in order of index: read at once, sorted and filtered in the tab. */
export interface ListFile {
  /** Who made the vectors that a server compares by meaning; null: nobody. */
  embedder: string | null;
  columns: { [K in keyof PlainCard]: PlainCard[K][] };
  /** Bit i: the i-th of `flagKeys`. */
  flags: number[];
  /** As `/api/traits` has it. */
  positional: boolean[];
}

/** What a card shows beside its numbers. */
export interface CardFile {
  top: ImageExample[];
  text: TextExample | null;
}

/** The dictionary is in the list of dictionaries. */
export type FeatureFile = Omit<FeatureDetail, "dictionary">;

/** What is searched of the features that have words, in order of index. */
export interface WordsFile {
  documents: { index: number; label: string; body: string }[];
  /**
   * Each word form of the documents with the places where it stands: `[document, place, …]`, documents as numbers into `documents` ascending, places
   * counted as PostgreSQL counts them, times two, plus one in a label.
   */
  words: Record<string, number[]>;
}

export interface ImagesFile {
  /** The catalogue's, in the order of import. */
  items: ImageInfo[];
  /** Pictures that saved experiments alone have. */
  others: ImageInfo[];
  /** By dictionary a digit for each of `items`: 1 where examples of its features lie on the picture, which have a file then. */
  stored: Record<string, string>;
}

export interface ExperimentsFile {
  /** The newest first; `body`: all that is searched. */
  items: { summary: ExperimentSummary; body: string }[];
}
