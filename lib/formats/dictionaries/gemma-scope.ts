/** Gemma Scope 1 (`params.npz`, without settings) and Gemma Scope 2 (`config.json` and `params.safetensors`, names in lower case). */
import path from "node:path";
import { invalidFile } from "../source";
import { type Format, type Found, type Layout, plain } from "./layout";
import { tensorOf, text, wholeNumber } from "./settings";

/** Parts of a path, from the inside out. */
const parts = (folder: string) => folder.split(path.sep).reverse();

/** Gemma Scope 1 says model and place only in the names of its folders: `gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82`. */
function placeInPath(folder: string): { hook: string | null; model: string | null } {
  const names = parts(folder);
  const layer = names.map((name) => /^layer_(\d+)/.exec(name)?.[1]).find((found) => found !== undefined);
  const release = names.find((name) => /^gemma-scope-\d+b-/.test(name));
  const [, size, tuning, site] = /^gemma-scope-(\d+b)-(pt|it)-(res|mlp|att|transcoders)/.exec(release ?? "") ?? [];
  const model = size ? `gemma-2-${size}${tuning === "it" ? "-it" : ""}` : null;
  if (layer === undefined || site === undefined) return { hook: null, model };
  const hooks: Record<string, string> = {
    res: `model.layers.${layer}`,
    mlp: `model.layers.${layer}.mlp`,
    att: `model.layers.${layer}.self_attn.o_proj.input`,
    transcoders: `model.layers.${layer}.mlp.input`,
  };
  return { hook: hooks[site] ?? null, model };
}

export const gemmaScope: Format = {
  name: "Gemma Scope",
  layouts({ folder, set }: Found): Layout[] | null {
    if (!set.file.endsWith(".npz") || !set.tensors.has("W_enc") || !set.tensors.has("W_dec")) return null;
    const { hook, model } = placeInPath(folder);
    return [
      {
        ...plain,
        format: "Gemma Scope",
        encoder: { tensor: tensorOf(set, "W_enc"), latents: 1 },
        decoder: { tensor: tensorOf(set, "W_dec"), latents: 0 },
        encoderBias: set.tensors.get("b_enc") ?? null,
        decoderBias: set.tensors.get("b_dec") ?? null,
        threshold: tensorOf(set, "threshold"),
        activation: "jumprelu",
        subtractDecoderBias: false,
        hook,
        model,
        notes: [],
      },
    ];
  },
};

/** Where the settings are missing, as SAELens reads the names of the folders. */
function placeInScope2Path(folder: string): string | null {
  const names = parts(folder);
  const layer = names.map((name) => /^layer_(\d+)/.exec(name)?.[1]).find((found) => found !== undefined);
  if (layer === undefined) return null;
  if (names.some((name) => name.startsWith("resid_post"))) return `model.layers.${layer}`;
  if (names.some((name) => name.startsWith("attn_out"))) return `model.layers.${layer}.self_attn.o_proj.input`;
  if (names.some((name) => name.startsWith("mlp_out"))) return `model.layers.${layer}.post_feedforward_layernorm.output`;
  if (names.some((name) => name.startsWith("transcoder"))) return `model.layers.${layer}.pre_feedforward_layernorm.output`;
  return null;
}

export const gemmaScope2: Format = {
  name: "Gemma Scope 2",
  layouts({ folder, set, settings }: Found): Layout[] | null {
    const { tensors } = set;
    if (!tensors.has("w_enc") || !tensors.has("w_dec")) return null;
    const config = settings["config.json"];
    const architecture = config ? text(config, "architecture") : null;
    if (config && architecture !== null && architecture !== "jump_relu") {
      throw invalidFile(
        `${config.file}: "architecture" is "${architecture}"; Gemma Scope 2's is jump_relu.`,
        "Save the dictionary with SAELens, which knows more architectures, and import that.",
      );
    }
    const hook = config ? text(config, "hf_hook_point_in") : placeInScope2Path(folder);
    const out = config ? text(config, "hf_hook_point_out") : null;
    const notes = [];
    if (out !== null && out !== hook) notes.push(`It is a transcoder: it reads at ${hook} and writes at ${out}.`);
    return [
      {
        ...plain,
        format: "Gemma Scope 2",
        encoder: { tensor: tensorOf(set, "w_enc"), latents: 1 },
        decoder: { tensor: tensorOf(set, "w_dec"), latents: 0 },
        encoderBias: tensors.get("b_enc") ?? null,
        decoderBias: tensors.get("b_dec") ?? null,
        threshold: tensorOf(set, "threshold"),
        skip: tensors.has("affine_skip_connection") ? { tensor: tensorOf(set, "affine_skip_connection"), outputs: 1 } : null,
        latents: config ? wholeNumber(config, "width") : null,
        activation: "jumprelu",
        subtractDecoderBias: false,
        hook,
        hookOut: out,
        model: config ? text(config, "model_name") : null,
        notes,
      },
    ];
  },
};
