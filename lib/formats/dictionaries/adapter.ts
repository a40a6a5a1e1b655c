/** Dictionaries of the paper's authors' newer trainer, which are PEFT adapters: `adapter_config.json` and `adapter_model.safetensors`. */
import { invalidFile } from "../source";
import { type Format, type Found, type Layout, plain } from "./layout";
import { latentsOrFactor, needed, tensorOf, text, wholeNumber } from "./settings";

/** `base_model.model.model.layers.24.sae_encoder.weight`; PEFT may leave the adapter's name before ".weight". */
const encoderName = /^(.+)\.sae_encoder((?:\.[\w-]+)?)\.weight$/;

export const adapter: Format = {
  name: "PEFT adapter",
  layouts({ set, settings }: Found): Layout[] | null {
    const places = [...set.tensors.keys()].flatMap((name) => {
      const match = encoderName.exec(name);
      return match ? [{ module: match[1] as string, adapter: match[2] ?? "" }] : [];
    });
    if (places.length === 0) return null;
    const config = settings["adapter_config.json"];
    if (!config) {
      throw invalidFile(
        `${set.file} has the tensors of an adapter with dictionaries, and no adapter_config.json lies beside it to say "k".`,
        "Copy the adapter_config.json of the same adapter into its folder.",
      );
    }
    const k = needed(wholeNumber(config, "k"), config, "k");
    return places.map(({ module, adapter }) => {
      const encoder = tensorOf(set, `${module}.sae_encoder${adapter}.weight`);
      const bias = set.tensors.get(`${module}.sae_b_dec${adapter}`) ?? null;
      const width = bias ? bias.shape.reduce((product, n) => product * n, 1) : null;
      return {
        ...plain,
        format: "PEFT adapter",
        encoder: { tensor: encoder, latents: 0 },
        decoder: { tensor: tensorOf(set, `${module}.sae_W_dec${adapter}`), latents: 0 },
        encoderBias: set.tensors.get(`${module}.sae_encoder${adapter}.bias`) ?? null,
        decoderBias: bias,
        latents: latentsOrFactor(config, width),
        activation: "topk",
        k,
        hook: module,
        model: text(config, "base_model_name_or_path"),
        notes: [],
      };
    });
  },
};
