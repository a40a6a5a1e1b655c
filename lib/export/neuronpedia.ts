/**
 * Lines as Neuronpedia's export has them: `features/batch-0.jsonl.gz`, `explanations/batch-0.jsonl.gz`, `activations/batch-0.jsonl.gz`. That
 * format has no pictures: of the examples those over tokens are written.
 */
import path from "node:path";
import type { DenseExample } from "@/lib/catalog/text-examples";
import type { Source, SourceDictionary } from "@/lib/formats/source";
import { featureByFeature } from "./preferred";
import { writeText } from "./text-file";

export interface NeuronpediaCounts {
  features: number;
  explanations: number;
  activations: number;
}

/** Writes the three files into `folder`. */
export async function writeNeuronpediaFiles(
  { model }: Pick<Source, "model">,
  dictionary: SourceDictionary,
  examples: AsyncIterable<DenseExample[]>,
  folder: string,
): Promise<NeuronpediaCounts> {
  const origin = { modelId: model.id, layer: dictionary.entry.id };
  const counts: NeuronpediaCounts = { features: 0, explanations: 0, activations: 0 };
  const line = (kind: keyof NeuronpediaCounts, value: Record<string, unknown>) => {
    counts[kind]++;
    return `${JSON.stringify({ ...origin, ...value })}\n`;
  };

  async function* features(): AsyncGenerator<string> {
    for await (const { feature, tokens } of featureByFeature(dictionary)) {
      const writes = tokens.filter((token) => token.kind === "writes");
      const max = feature.max_activation;
      const counts = feature.hist_counts ?? [];
      yield line("features", {
        index: String(feature.index),
        maxActApprox: max,
        frac_nonzero: feature.text_density ?? feature.density,
        pos_str: writes.map(({ token }) => token),
        pos_values: writes.map(({ value }) => value),
        neg_str: [],
        neg_values: [],
        // The middle of each bin.
        freq_hist_data_bar_values: max === null ? [] : counts.map((_, i) => ((i + 0.5) * max) / counts.length),
        freq_hist_data_bar_heights: max === null ? [] : counts,
        hookName: dictionary.entry.hook,
        imageDensity: feature.density,
        imageShare: feature.image_share,
      });
    }
  }

  async function* explanations(): AsyncGenerator<string> {
    for await (const { explanations, scores } of featureByFeature(dictionary)) {
      for (const one of explanations) {
        if (one.text === null) continue;
        yield line("explanations", {
          index: String(one.index),
          description: one.text,
          typeName: one.method,
          explanationModelName: one.author,
          label: one.label,
          createdAt: one.created_at,
          scores: scores
            .filter((score) => score.explanation === one.method && score.value !== null)
            .map(({ metric, value, n }) => ({ scoreType: metric, value, n })),
        });
      }
    }
  }

  async function* activations(): AsyncGenerator<string> {
    for await (const batch of examples) {
      for (const { index, tokens, values } of batch) {
        const maxValue = Math.max(0, ...values);
        yield line("activations", { index: String(index), tokens, values, maxValue, maxValueTokenIndex: values.indexOf(maxValue) });
      }
    }
  }

  await writeText(path.join(folder, "features", "batch-0.jsonl.gz"), features());
  await writeText(path.join(folder, "explanations", "batch-0.jsonl.gz"), explanations());
  await writeText(path.join(folder, "activations", "batch-0.jsonl.gz"), activations());
  return counts;
}
