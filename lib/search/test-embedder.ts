/** An embedder for tests: each known word is a direction, and words that mean the same share one. */
import { type Embedder, normalised } from "./embedder";

/** Words by meaning; a text's vector is the sum of its words'. */
export function wordEmbedder(meanings: string[][], id = "words"): Embedder & { asked: string[] } {
  const asked: string[] = [];
  return {
    id,
    asked,
    reads: (text) => /[a-z]{3}/i.test(text),
    async embed(texts) {
      asked.push(...texts);
      return texts.map((text) => {
        const vector = new Float32Array(meanings.length + 1);
        // What it does not know has a direction of its own, so that no vector is without one.
        vector[meanings.length] = 0.05;
        for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? []) {
          meanings.forEach((words, i) => {
            if (words.includes(word)) vector[i] = (vector[i] as number) + 1;
          });
        }
        return normalised(vector);
      });
    },
  };
}
