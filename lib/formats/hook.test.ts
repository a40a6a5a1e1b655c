import { describe, expect, it } from "vitest";
import { hookOf } from "./hook";

describe("hookOf", () => {
  it.each([
    "model.layers.24",
    "layers.24",
    "layers_24",
    "language_model.model.layers.24",
    "model.language_model.layers.24",
    "base_model.model.model.language_model.layers.24",
    "blocks.24.hook_resid_post",
    "blocks.25.hook_resid_pre",
    "model.layers.24.output",
    "gpt_neox.layers.24",
    "transformer.h.24",
  ])("knows the output of a block in %s", (spelled) => {
    expect(hookOf(spelled)).toEqual({ hook: "model.layers.24", layer: 24 });
  });

  it.each([
    ["model.layers.17.mlp", 17],
    ["blocks.3.attn.hook_z", 3],
    ["blocks.0.hook_resid_pre", 0],
    ["vision_tower.vision_model.encoder.layers.5", 5],
    ["model.layers.17.post_feedforward_layernorm.output", 17],
    ["hook_embed", -1],
  ])("leaves another place as it is: %s", (spelled, layer) => {
    expect(hookOf(spelled)).toEqual({ hook: spelled, layer });
  });
});
