/**
 * The paper's own JSON files, of each feature's preferred explanation: `model_layers_24.json` with the explanations, and beside it, where there is
 * any, `labels.json`, `concepts.json`, `iou.json`, `clip.json` and `consistency.json`.
 */
import { rm } from "node:fs/promises";
import path from "node:path";
import type { SourceDictionary } from "@/lib/formats/source";
import { type FeatureRows, featureByFeature } from "./preferred";
import { writeText } from "./text-file";

/** What one file says of one feature: a key and its value, or an entry of a list; null where it says nothing. */
type Say = (key: string, rows: FeatureRows) => string | null;

/** The score of the preferred explanation. */
function scoreOf({ preferred, scores }: FeatureRows, metric: string) {
  return scores.find((score) => score.explanation === preferred?.method && score.metric === metric) ?? null;
}

const failed = -1;

const files: { name: (hook: string) => string; brackets: [string, string]; say: Say }[] = [
  {
    name: (hook) => `${hook.replaceAll(".", "_")}.json`,
    brackets: ["[", "]"],
    say: (key, { preferred }) => (preferred?.text ? JSON.stringify({ [key]: preferred.text }) : null),
  },
  {
    name: () => "labels.json",
    brackets: ["{", "}"],
    say: (key, { preferred }) => (preferred?.label ? `${JSON.stringify(key)}: ${JSON.stringify(preferred.label)}` : null),
  },
  {
    name: () => "concepts.json",
    brackets: ["{", "}"],
    say: (key, { preferred }) => (preferred?.concept ? `${JSON.stringify(key)}: ${JSON.stringify(preferred.concept)}` : null),
  },
  {
    name: () => "iou.json",
    brackets: ["[", "]"],
    say: (key, rows) => {
      const score = scoreOf(rows, "iou");
      if (!score) return null;
      const average = score.value ?? failed;
      // The single pictures' scores are not kept: the list holds their mean.
      return JSON.stringify({
        feature: key,
        iou_scores: [average],
        avg_iou: average,
        k: score.n,
        activated_pct: null,
        label: rows.preferred?.label ?? rows.preferred?.text ?? null,
      });
    },
  },
  {
    name: () => "clip.json",
    brackets: ["[", "]"],
    say: (key, rows) => {
      const score = scoreOf(rows, "clip");
      if (!score) return null;
      const average = score.value ?? failed;
      return JSON.stringify({
        feature: key,
        clip_scores: [average],
        avg_score: average,
        k: score.n,
        label: rows.preferred?.label ?? rows.preferred?.text ?? null,
      });
    },
  },
  {
    name: () => "consistency.json",
    brackets: ["{", "}"],
    say: (key, rows) => {
      const score = scoreOf(rows, "consistency");
      return score ? `${JSON.stringify(key)}: ${score.value === null ? failed : JSON.stringify(String(score.value))}` : null;
    },
  },
];

/** Writes the files into `folder` and answers with how many features each speaks of. A file that would be empty is not written. */
export async function writePaperFiles(dictionary: SourceDictionary, folder: string): Promise<Record<string, number>> {
  const { hook } = dictionary.entry;
  const written: Record<string, number> = {};
  for (const { name, brackets, say } of files) {
    let entries = 0;
    async function* text(): AsyncGenerator<string> {
      for await (const rows of featureByFeature(dictionary)) {
        const entry = say(`${hook}_feature${rows.feature.index}`, rows);
        if (entry === null) continue;
        yield `${entries === 0 ? brackets[0] : ","}\n${entry}`;
        entries++;
      }
      if (entries) yield `\n${brackets[1]}\n`;
    }
    const file = path.join(folder, name(hook));
    await writeText(file, text());
    if (entries) written[name(hook)] = entries;
    else await rm(file, { force: true });
  }
  return written;
}
