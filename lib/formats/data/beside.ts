/** Paths that say nothing by themselves and are read by a cache beside them: image sets and tokenizers. */
import { invalidFile, type Part, type Reader } from "../source";
import { number } from "./image-part";
import { openImageSet } from "./image-set";
import { isTokenizer } from "./text-cache";

export const imageSetReader: Reader<Part[]> = {
  format: "image set",
  async recognise(at) {
    const set = await openImageSet(at);
    return set ? { found: `${at}: ${number(set.length)} images` } : null;
  },
  async read(at, { paths = [at] }) {
    if (paths.length > 1) return [];
    throw invalidFile(
      `${at} is an image set, which by itself says nothing of features.`,
      "Give the activation cache that was made from it too.",
    );
  },
};

export const tokenizerReader: Reader<Part[]> = {
  format: "tokenizer",
  async recognise(at) {
    return (await isTokenizer(at)) ? { found: `${at}: a tokenizer` } : null;
  },
  async read(at, { paths = [at] }) {
    if (paths.length > 1) return [];
    throw invalidFile(
      `${at} is a tokenizer, which by itself says nothing of features.`,
      "Give the activation cache whose tokens it spells too.",
    );
  },
};
