/**
 * Lines as Neuronpedia's export has them: `features/batch-N.jsonl.gz`, `explanations/batch-N.jsonl.gz`, `activations/batch-N.jsonl.gz`, each of
 * 1,024 features. That format has no pictures: of the examples those over tokens are written. What it has no key for stands under keys of
 * Facet's own, which Neuronpedia passes over and Facet reads back.
 */
import path from "node:path";
import type { DenseExample } from "@/lib/catalog/text-examples";
import type { Source, SourceDictionary } from "@/lib/formats/source";
import { type FeatureRows, featureByFeature, type ScoreRow } from "./feature-rows";
import type { OnProgress } from "./progress";
import { writeText } from "./text-file";

/** As Neuronpedia's own exports have them. */
const featuresABatch = 1_024;
/** The account that Neuronpedia's public exports name: rows of explanations and activations must have one. */
const creator = "clkht01d40000jv08hvalcvly";

export interface NeuronpediaCounts {
  features: number;
  explanations: number;
  activations: number;
}

interface Line {
  index: number;
  text: string;
}

/** Writes lines of ascending index, so many features a file; answers with how many lines there were. */
async function writeBatches(folder: string, lines: AsyncGenerator<Line>, signal?: AbortSignal): Promise<number> {
  let count = 0;
  let next = await lines.next();
  while (!next.done) {
    const batch = Math.floor(next.value.index / featuresABatch);
    async function* own(): AsyncGenerator<string> {
      while (!next.done && Math.floor(next.value.index / featuresABatch) === batch) {
        count++;
        yield next.value.text;
        next = await lines.next();
      }
    }
    await writeText(path.join(folder, `batch-${batch}.jsonl.gz`), own(), signal);
  }
  return count;
}

const tokensOf = ({ tokens }: FeatureRows, kind: string) => tokens.filter((token) => token.kind === kind);

/** What a features line says. All lines have the same keys: Neuronpedia takes its columns from the first. */
function featureLine(rows: FeatureRows): object {
  const { feature, neighbours } = rows;
  const [writes, against] = [tokensOf(rows, "writes"), tokensOf(rows, "suppresses")];
  const near = neighbours.filter(({ kind }) => kind === "decoder");
  const max = feature.max_activation;
  const counts = feature.hist_counts ?? [];
  const bars = max !== null && max > 0 ? counts : [];
  return {
    maxActApprox: max,
    // Neuronpedia takes no null here; `textDensity` and `imageDensity` say what was measured.
    frac_nonzero: feature.text_density ?? feature.density ?? 0,
    freq_hist_data_bar_heights: bars,
    // The middle of each bin.
    freq_hist_data_bar_values: bars.map((_, i) => ((i + 0.5) * (max ?? 0)) / bars.length),
    neg_str: against.map(({ token }) => token),
    neg_values: against.map(({ value }) => value),
    pos_str: writes.map(({ token }) => token),
    pos_values: writes.map(({ value }) => value),
    topkCosSimIndices: near.map(({ neighbour }) => neighbour),
    topkCosSimValues: near.map(({ value }) => value),
    hasVector: false,
    textDensity: feature.text_density,
    imageDensity: feature.density,
    imageShare: feature.image_share,
    meanActivation: feature.mean_activation,
  };
}

const scoreLine = ({ metric, value, baseline, n, failure, method }: ScoreRow) => ({
  scoreType: metric,
  value,
  baseline,
  n,
  failure,
  method,
});

/** Writes the files into `folder`. A kind that would be empty is not written. */
export async function writeNeuronpediaFiles(
  { model }: Pick<Source, "model">,
  dictionary: SourceDictionary,
  examples: AsyncIterable<DenseExample[]>,
  folder: string,
  onProgress?: OnProgress,
  signal?: AbortSignal,
): Promise<NeuronpediaCounts> {
  const { entry } = dictionary;
  const mark = entry.sha256.slice(0, 12);
  const line = (index: number, value: object): Line => ({
    index,
    text: `${JSON.stringify({ modelId: model.id, layer: entry.id, index: String(index), ...value })}\n`,
  });
  const at = (file: string, index: number) => onProgress?.(file, index, entry.num_latents);

  async function* features(): AsyncGenerator<Line> {
    for await (const rows of featureByFeature(dictionary, ["tokens", "neighbours"], signal)) {
      at("features", rows.feature.index);
      yield line(rows.feature.index, { ...featureLine(rows), hookName: entry.hook });
    }
  }

  async function* explanations(): AsyncGenerator<Line> {
    for await (const { feature, explanations, scores } of featureByFeature(dictionary, ["explanations", "scores"], signal)) {
      at("explanations", feature.index);
      const described = explanations.filter((one) => one.text !== null);
      for (const [i, one] of described.entries()) {
        // A score goes with the first explanation of its method.
        const first = described.findIndex(({ method }) => method === one.method) === i;
        yield line(one.index, {
          id: `facet-${mark}-${one.index}-${i}`,
          authorId: creator,
          description: one.text,
          typeName: one.method,
          explanationModelName: one.author,
          createdAt: one.created_at,
          label: one.label,
          concept: one.concept,
          preferred: one.preferred,
          scores: first ? scores.filter((score) => score.explanation === one.method).map(scoreLine) : [],
        });
      }
    }
  }

  async function* activations(): AsyncGenerator<Line> {
    for await (const batch of examples) {
      for (const { index, rank, tokens, values } of batch) {
        at("activations", index);
        if (tokens.length === 0) continue;
        const [maxValue, minValue] = [Math.max(...values), Math.min(...values)];
        yield line(index, {
          id: `facet-${mark}-${index}-${rank}`,
          creatorId: creator,
          tokens,
          values,
          maxValue,
          minValue,
          maxValueTokenIndex: values.indexOf(maxValue),
        });
      }
    }
  }

  return {
    features: await writeBatches(path.join(folder, "features"), features(), signal),
    explanations: await writeBatches(path.join(folder, "explanations"), explanations(), signal),
    activations: await writeBatches(path.join(folder, "activations"), activations(), signal),
  };
}
