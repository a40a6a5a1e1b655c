/** Dictionaries of dictionary_learning, whose weights somebody moved from `ae.pt` to safetensors: `config.json` beside them. */
import { invalidFile } from "../source";
import { readInteger, type TensorSet } from "../tensor-set";
import { type Claim, type Format, type Found, type Layout, plain, type Settings } from "./layout";
import { needed, tensorOf, text, wholeNumber } from "./settings";

type Part = Pick<Layout, "activation" | "subtractDecoderBias"> & Partial<Layout>;

/** What each `dict_class` computes. */
const classes: Record<string, (set: TensorSet) => Part> = {
  AutoEncoder: () => ({ activation: "relu", subtractDecoderBias: true, foldDecoderNorm: true }),
  AutoEncoderNew: () => ({ activation: "relu", subtractDecoderBias: false }),
  AutoEncoderTopK: () => ({ activation: "topk", subtractDecoderBias: true }),
  BatchTopKSAE: (set) => ({ activation: "batchtopk", subtractDecoderBias: true, threshold: tensorOf(set, "threshold") }),
  MatryoshkaBatchTopKSAE: (set) => ({ activation: "batchtopk", subtractDecoderBias: true, threshold: tensorOf(set, "threshold") }),
  JumpReluAutoEncoder: (set) => ({ activation: "jumprelu", subtractDecoderBias: false, threshold: tensorOf(set, "threshold") }),
  GatedAutoEncoder: (set) => ({
    activation: "gated",
    subtractDecoderBias: true,
    gate: { gateBias: tensorOf(set, "gate_bias"), magnitudeBias: tensorOf(set, "mag_bias"), logScale: tensorOf(set, "r_mag") },
  }),
};

async function sparsity(set: TensorSet, config: Settings, activation: string): Promise<Claim | null> {
  const written = wholeNumber(config, "trainer.k");
  const tensor = set.tensors.get("k");
  const stored = tensor ? await readInteger(tensor) : null;
  if (written && stored !== null && stored !== written.value) {
    throw invalidFile(
      `${config.file}: "trainer.k" is ${written.value}, and the tensor "k" of ${set.file} is ${stored}.`,
      "Give weights and settings of the same dictionary.",
    );
  }
  const k = written ?? (stored === null ? null : { file: set.file, key: "k", value: stored });
  return activation === "topk" ? needed(k, config, "trainer.k") : k;
}

/** Where it reads. The package's own naming is `resid_post_layer_8`; where it names nothing, its scripts take the residual stream. */
function place(config: Settings, notes: string[]): string | null {
  const layer = wholeNumber(config, "trainer.layer", 0);
  const name = text(config, "trainer.submodule_name");
  const stream = /^resid_post_layer_(\d+)$/.exec(name ?? "");
  if (stream) return `model.layers.${stream[1]}`;
  if (name !== null) return layer && !/\d/.test(name) ? `model.layers.${layer.value}.${name}` : name;
  if (!layer) return null;
  notes.push(`${config.file} does not name the submodule; block ${layer.value}'s output is taken for it.`);
  return `model.layers.${layer.value}`;
}

export const dictionaryLearning: Format = {
  name: "dictionary_learning",
  async layouts({ set, settings }: Found): Promise<Layout[] | null> {
    const { tensors } = set;
    const config = settings["config.json"];
    const linear = tensors.has("encoder.weight") && tensors.has("decoder.weight");
    const trained = typeof config?.json.trainer === "object" && config.json.trainer !== null;
    if (!linear && !(trained && tensors.has("W_enc") && tensors.has("W_dec"))) return null;
    if (!config || !trained) {
      throw invalidFile(
        `${set.file} has the tensors of a dictionary_learning dictionary, and no config.json with "trainer" lies beside it.`,
        "Copy the config.json of the same dictionary into its folder.",
      );
    }
    const name = className(config);
    const made = Object.hasOwn(classes, name) ? classes[name]?.(set) : undefined;
    if (!made) {
      throw invalidFile(
        `${config.file}: "trainer.dict_class" is "${name}", which Facet does not know.`,
        `Facet knows ${Object.keys(classes).join(", ")}.`,
      );
    }
    const notes: string[] = [];
    if (made.foldDecoderNorm) {
      notes.push("Lengths of decoder rows are folded into the encoder, as the package does when it loads such a dictionary.");
    }
    return [
      {
        ...plain,
        format: "dictionary_learning",
        encoder: linear ? { tensor: tensorOf(set, "encoder.weight"), latents: 0 } : { tensor: tensorOf(set, "W_enc"), latents: 1 },
        decoder: linear ? { tensor: tensorOf(set, "decoder.weight"), latents: 1 } : { tensor: tensorOf(set, "W_dec"), latents: 0 },
        encoderBias: tensors.get("encoder.bias") ?? tensors.get("b_enc") ?? null,
        decoderBias: ["b_dec", "bias", "decoder_bias", "decoder.bias"].map((key) => tensors.get(key)).find(Boolean) ?? null,
        width: wholeNumber(config, "trainer.activation_dim"),
        latents: wholeNumber(config, "trainer.dict_size"),
        k: await sparsity(set, config, made.activation),
        hook: place(config, notes),
        model: text(config, "trainer.lm_name"),
        notes,
        ...made,
      },
    ];
  },
};

function className(config: Settings): string {
  const name = text(config, "trainer.dict_class");
  if (name !== null) return name;
  throw invalidFile(`${config.file} lacks "trainer.dict_class".`, "Give the config.json that the package itself wrote.");
}
