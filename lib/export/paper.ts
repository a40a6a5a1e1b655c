/**
 * The paper's own JSON files, of each feature's preferred explanation: `model_layers_24.json` with the explanations and beside it, where there
 * is any, `refined.json` (a few words), `labels.json` (concept classes), `iou.json`, `clip.json` and `consistency.json`.
 */
import path from "node:path";
import type { SourceDictionary } from "@/lib/formats/source";
import { type FeatureRows, featureByFeature } from "./feature-rows";
import type { OnProgress } from "./progress";
import { writeText } from "./text-file";

/** What one file says of one feature: an entry of a list, or a key and its value; null where it says nothing. */
type Say = (key: string, rows: FeatureRows) => string | null;

/** The score of the preferred explanation. */
function scoreOf({ preferred, scores }: FeatureRows, metric: string) {
  return scores.find((score) => score.explanation === preferred?.method && score.metric === metric) ?? null;
}

/** What these tools write for a score that failed. */
const failed = -1;

const said = (value: string | null | undefined, say: (value: string) => string) => (value ? say(value) : null);
const pair = (key: string, value: unknown) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`;

/** An entry of the score lists. Of the single pictures only the mean is kept, so it stands alone in the list, and `n` says of how many. */
function scoreEntry(metric: string, list: string, average: string, more: object = {}): Say {
  return (key, rows) => {
    const score = scoreOf(rows, metric);
    if (!score) return null;
    const value = score.value ?? failed;
    const label = rows.preferred?.label ?? rows.preferred?.text ?? null;
    return JSON.stringify({ feature: key, [list]: [value], [average]: value, k: score.n, ...more, label, n: score.n });
  };
}

const files: { name: (hook: string) => string; brackets: [string, string]; say: Say }[] = [
  {
    name: (hook) => `${hook.replace(/[^\w-]/g, "_")}.json`,
    brackets: ["[", "]"],
    say: (key, { preferred }) => said(preferred?.text, (text) => JSON.stringify({ [key]: text })),
  },
  {
    name: () => "refined.json",
    brackets: ["{", "}"],
    say: (key, { preferred }) => said(preferred?.label, (label) => pair(key, label)),
  },
  {
    name: () => "labels.json",
    brackets: ["{", "}"],
    say: (key, { preferred }) => said(preferred?.concept, (concept) => pair(key, concept)),
  },
  { name: () => "iou.json", brackets: ["[", "]"], say: scoreEntry("iou", "iou_scores", "avg_iou", { activated_pct: null }) },
  { name: () => "clip.json", brackets: ["[", "]"], say: scoreEntry("clip", "clip_scores", "avg_score") },
  {
    name: () => "consistency.json",
    brackets: ["{", "}"],
    say: (key, rows) => {
      const score = scoreOf(rows, "consistency");
      if (!score) return null;
      if (score.value === null) return pair(key, failed);
      // The format has a verdict, and no share of verdicts.
      return score.value === 0 || score.value === 1 ? pair(key, String(score.value)) : null;
    },
  },
];

/** Writes the files into `folder` and answers with how many features each speaks of. A file that would be empty is not written. */
export async function writePaperFiles(
  dictionary: SourceDictionary,
  folder: string,
  onProgress?: OnProgress,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  const { hook, num_latents } = dictionary.entry;
  const written: Record<string, number> = {};
  for (const { name, brackets, say } of files) {
    async function* entries(): AsyncGenerator<string> {
      for await (const rows of featureByFeature(dictionary, ["explanations", "scores"], signal)) {
        onProgress?.(name(hook), rows.feature.index, num_latents);
        const entry = say(`${hook}_feature${rows.feature.index}`, rows);
        if (entry !== null) yield entry;
      }
    }
    const all = entries();
    const first = await all.next();
    if (first.done) continue;
    let count = 1;
    async function* text(opening: string): AsyncGenerator<string> {
      yield `${brackets[0]}\n${opening}`;
      for await (const entry of all) {
        count++;
        yield `,\n${entry}`;
      }
      yield `\n${brackets[1]}\n`;
    }
    await writeText(path.join(folder, name(hook)), text(first.value), signal);
    written[name(hook)] = count;
  }
  return written;
}
