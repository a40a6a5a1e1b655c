/** Dictionaries as `facet-worker train` writes those that the paper's layout has no place for: `dictionary.json` and `dictionary.safetensors`. */
import { invalidFile } from "../source";
import { type Format, type Found, type Layout, plain } from "./layout";
import { flag, needed, tensorOf, text, wholeNumber } from "./settings";

export const ownSettings = "dictionary.json";
const activations = ["relu", "topk", "batchtopk", "jumprelu", "gated"];

export const own: Format = {
  name: "facet-worker",
  layouts({ set, settings }: Found): Layout[] | null {
    const config = settings[ownSettings];
    if (!config || !set.tensors.has("W_enc") || !set.tensors.has("W_dec")) return null;
    const activation = text(config, "activation");
    if (activation === null || !activations.includes(activation)) {
      throw invalidFile(
        `${config.file}: "activation" is ${JSON.stringify(activation)} and should be one of ${activations.join(", ")}.`,
        "Give the file that facet-worker itself wrote.",
      );
    }
    const k = wholeNumber(config, "k");
    const above = activation === "batchtopk" || activation === "jumprelu";
    const gated = activation === "gated";
    return [
      {
        ...plain,
        format: "facet-worker",
        encoder: { tensor: tensorOf(set, "W_enc"), latents: 0 },
        decoder: { tensor: tensorOf(set, "W_dec"), latents: 0 },
        // A gate's own bias is b_enc.
        encoderBias: tensorOf(set, "b_enc"),
        decoderBias: tensorOf(set, "b_dec"),
        threshold: above ? tensorOf(set, "threshold") : null,
        gate: gated ? { gateBias: tensorOf(set, "b_enc"), magnitudeBias: tensorOf(set, "b_mag"), logScale: tensorOf(set, "r_mag") } : null,
        width: wholeNumber(config, "width"),
        latents: wholeNumber(config, "num_latents"),
        activation,
        k: activation === "topk" ? needed(k, config, "k") : activation === "batchtopk" ? k : null,
        subtractDecoderBias: flag(config, "subtract_b_dec", true),
        hook: text(config, "hook"),
        notes: [],
      },
    ];
  },
};
