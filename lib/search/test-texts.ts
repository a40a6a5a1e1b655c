/** What tests of search look for: explanations as people write them, and scores as delphi gives them. */

/** Of the first features, by index: other scripts, pictures and marks among the words. */
export const writtenTexts: readonly [label: string, text: string][] = [
  ["elephant", "A grey elephant, often beside trees; 100 % sure."],
  ["黄色い果物", "バナナやレモンのような黄色い果物に反応する。"],
  ["собака", "Реагирует на собак разных пород."],
  ["party face 🥳", "Fires on 🥳 and other parties' faces."],
  ["yellow fruit", "Bananas and lemons: fruit that is yellow."],
  ["puppies", "Young dogs at play, C++ code, and the word café."],
];

/** Scores by detection, of every fourth feature, with many equal values. */
export function addDetection(scores: Record<string, unknown>[]): void {
  for (const row of [...scores]) {
    if (row.metric !== "steer" || (row.index as number) % 4) continue;
    scores.push({ ...row, metric: "detection", value: ((row.index as number) % 3) / 2, failure: null });
  }
}
