/** The places of a model that dictionaries are of, as each tool spells them. */

export interface Hook {
  /** `model.layers.N` for the output of block N of the language model; else as the tool spells it. */
  hook: string;
  /** Number of the block, counted from 0; −1 where the name has none. */
  layer: number;
}

/**
 * The output of a decoder block: `model.layers.N` (the paper), `layers.N` (sparsify), `language_model.model.layers.N` and
 * `model.language_model.layers.N` (Transformers before and after 4.52), `gpt_neox.layers.N`, `transformer.h.N`, `model.layers.N.output`
 * (Gemma Scope 2), an adapter's `base_model.model.…`. Blocks of a vision tower are other places and keep their names.
 */
const block = /^(?:base_model\.)?(?:model\.|language_model\.|gpt_neox\.|transformer\.|llm\.)*(?:layers|h)[._](\d+)(?:\.output)?$/;
/** TransformerLens. */
const residual = /^blocks\.(\d+)\.hook_resid_(post|pre)$/;

/** The place that `spelled` means. */
export function hookOf(spelled: string): Hook {
  const name = spelled.trim();
  const output = block.exec(name);
  if (output) return { hook: `model.layers.${Number(output[1])}`, layer: Number(output[1]) };
  const stream = residual.exec(name);
  if (stream) {
    // What goes into block N is what comes out of the one before it.
    const layer = Number(stream[1]) - (stream[2] === "pre" ? 1 : 0);
    if (layer >= 0) return { hook: `model.layers.${layer}`, layer };
  }
  return { hook: name, layer: Number(/(?:layers?|blocks|h)[._](\d+)/.exec(name)?.[1] ?? -1) };
}
