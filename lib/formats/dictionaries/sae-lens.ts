/** Dictionaries as SAELens writes them: `cfg.json` and `sae_weights.safetensors`. */
import { invalidFile } from "../source";
import { type Activation, type Format, type Found, type InputNorm, type Layout, plain, type Settings } from "./layout";
import { flag, needed, tensorOf, text, valueAt, wholeNumber } from "./settings";

/** `architecture` → activation, and whether it is a transcoder. */
const architectures: Record<string, [Activation, boolean?]> = {
  standard: ["relu"],
  topk: ["topk"],
  abstopk: ["abstopk"],
  jumprelu: ["jumprelu"],
  gated: ["gated"],
  transcoder: ["relu", true],
  skip_transcoder: ["relu", true],
  jumprelu_transcoder: ["jumprelu", true],
  jumprelu_skip_transcoder: ["jumprelu", true],
  matching_pursuit: ["matching_pursuit"],
};

/** Where a version keeps a key: at the top, under `metadata`, or under an older name. */
function first(config: Settings, ...keys: string[]): string | null {
  for (const key of keys) {
    const value = text(config, key);
    if (value !== null) return value;
  }
  return null;
}

function activationOf(config: Settings, architecture: string, notes: string[]): [Activation, boolean] {
  const known = Object.hasOwn(architectures, architecture) ? architectures[architecture] : undefined;
  if (!known) {
    notes.push(`Its architecture "${architecture}" is kept as a name; Facet does not compute it.`);
    return [architecture, false];
  }
  // Before version 6 a TopK was a standard dictionary with another function.
  const written = architecture === "standard" ? first(config, "activation_fn_str", "activation_fn") : null;
  if (written !== null && written !== "relu") {
    if (written !== "topk") notes.push(`Its activation "${written}" is kept as a name; Facet does not compute it.`);
    return [written, false];
  }
  return [known[0], known[1] ?? false];
}

function inputNorm(config: Settings): InputNorm {
  const value = valueAt(config.json, "normalize_activations");
  // Older versions: whether, not how.
  if (value === undefined || value === null || value === false) return "none";
  return value === true ? "expected_average_only_in" : (text(config, "normalize_activations") ?? "none");
}

export const saeLens: Format = {
  name: "SAELens",
  layouts({ set, settings }: Found): Layout[] | null {
    const { tensors } = set;
    const config = settings["cfg.json"];
    if (!tensors.has("W_dec") || (!tensors.has("W_enc") && config?.json.architecture !== "matching_pursuit")) return null;
    if (set.file.endsWith(".npz")) return null;
    if (!config) {
      if (settings["config.json"]) return null;
      throw invalidFile(
        `${set.file} has the tensors of a SAELens dictionary, and no cfg.json lies beside it to say its architecture.`,
        "Copy the cfg.json of the same dictionary into its folder.",
      );
    }
    const notes: string[] = [];
    const architecture = text(config, "architecture") ?? "standard";
    const [activation, transcoder] = activationOf(config, architecture, notes);
    if (transcoder) notes.push("It is a transcoder: it writes at another place than it reads.");
    if (flag(config, "finetuning_scaling_factor", false)) {
      throw invalidFile(
        `${config.file}: "finetuning_scaling_factor" is true, so that activations are scaled again before decoding.`,
        'Multiply the rows of W_dec by "finetuning_scaling_factor", set the key to false and save the dictionary again.',
      );
    }
    const norm = inputNorm(config);
    if (norm === "expected_average_only_in") {
      notes.push(
        "Its hidden states were scaled in training to a mean length of √D; SAELens itself does not scale them when it runs, nor does Facet.",
      );
    }
    const k = wholeNumber(config, "k") ?? wholeNumber(config, "activation_fn_kwargs.k");
    const gate = activation === "gated";
    return [
      {
        ...plain,
        format: "SAELens",
        // Matching pursuit reads with the rows that it writes with.
        encoder: tensors.has("W_enc") ? { tensor: tensorOf(set, "W_enc"), latents: 1 } : { tensor: tensorOf(set, "W_dec"), latents: 0 },
        decoder: { tensor: tensorOf(set, "W_dec"), latents: 0 },
        encoderBias: tensors.get("b_enc") ?? null,
        decoderBias: tensors.get("b_dec") ?? null,
        threshold: activation === "jumprelu" ? tensorOf(set, "threshold") : null,
        gate: gate ? { gateBias: tensorOf(set, "b_gate"), magnitudeBias: tensorOf(set, "b_mag"), logScale: tensorOf(set, "r_mag") } : null,
        skip: tensors.has("W_skip") ? { tensor: tensorOf(set, "W_skip"), outputs: 0 } : null,
        width: wholeNumber(config, "d_in"),
        latents: wholeNumber(config, "d_sae"),
        activation,
        k: activation === "topk" || activation === "abstopk" ? needed(k, config, "k") : k,
        subtractDecoderBias: !transcoder && flag(config, "apply_b_dec_to_input", true),
        foldDecoderNorm: flag(config, "rescale_acts_by_decoder_norm", false),
        inputNorm: norm,
        hook: first(config, "metadata.hook_name", "hook_name", "hook_point"),
        hookOut: first(config, "metadata.hook_name_out", "hook_name_out"),
        model: first(config, "metadata.model_name", "model_name"),
        notes,
      },
    ];
  },
};
