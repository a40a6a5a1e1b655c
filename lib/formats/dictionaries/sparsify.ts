/** Dictionaries as sparsify (EleutherAI) and the paper write them: `cfg.json` and `sae.safetensors`. */
import path from "node:path";
import { invalidFile } from "../source";
import { type Claim, type Format, type Found, type Layout, plain, runSettings } from "./layout";
import { flag, latentsOrFactor, needed, tensorOf, text, wholeNumber } from "./settings";

/** Sparsify names a dictionary's folder after its hook. */
const isHook = (name: string) => /(?:layers?|blocks|h)[._]\d+|embed/.test(name);

export const sparsify: Format = {
  name: "sparsify",
  layouts({ folder, set, settings }: Found): Layout[] | null {
    if (!set.tensors.has("encoder.weight") || !set.tensors.has("W_dec")) return null;
    const config = settings["cfg.json"];
    if (!config) {
      throw invalidFile(
        `${set.file} has the tensors of a sparsify dictionary, and no cfg.json lies beside it to say "k".`,
        "Copy the cfg.json of the same dictionary into its folder.",
      );
    }
    const width = wholeNumber(config, "d_in");
    const transcoder = flag(config, "transcode", false);
    const kind = text(config, "activation") ?? "topk";
    const signed = flag(config, "signed", false);
    const notes: string[] = [];
    if (signed && kind !== "topk") {
      throw invalidFile(`${config.file}: "signed" goes with "activation" topk only, and that is ${kind}.`, "Correct one of the keys.");
    }
    const k: Claim = needed(wholeNumber(config, "k"), config, "k");
    const name = path.basename(folder);
    if (transcoder) notes.push("It is a transcoder: it writes at another place than it reads.");
    return [
      {
        ...plain,
        format: "sparsify",
        encoder: { tensor: tensorOf(set, "encoder.weight"), latents: 0 },
        decoder: { tensor: tensorOf(set, "W_dec"), latents: 0 },
        encoderBias: set.tensors.get("encoder.bias") ?? null,
        decoderBias: set.tensors.get("b_dec") ?? null,
        skip: set.tensors.has("W_skip") ? { tensor: tensorOf(set, "W_skip"), outputs: 0 } : null,
        width,
        latents: latentsOrFactor(config, width?.value ?? null),
        // A signed TopK keeps the largest by size, with their signs.
        activation: signed ? "abstopk" : kind,
        k,
        subtractDecoderBias: !transcoder,
        hook: isHook(name) ? name : null,
        model: settings[runSettings] ? text(settings[runSettings], "model") : null,
        notes,
      },
    ];
  },
};
