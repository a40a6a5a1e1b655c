/** engine.json: how an exported model is run (docs/formats.md). */
import { z } from "zod";
import { sha256Schema } from "@/lib/core/protocol";

const count = z.number().int().min(1);

export const chatPartsSchema = z.object({
  /** Before everything. */
  prefix: z.string(),
  /** Before a user's turn. */
  user: z.string(),
  /** For each image of a turn, before its text. */
  image: z.string(),
  /** Before each text of a turn. */
  text: z.string(),
  /** Before an assistant's turn, and at the end to ask for an answer. */
  assistant: z.string(),
  /** After an assistant's turn. */
  end: z.string(),
});

export const engineDictionarySchema = z.object({
  id: z.string(),
  hook: z.string(),
  /** Decoder block whose output is the hook, from 0. */
  layer: z.number().int().min(0),
  /** Of cfg.json, sae.safetensors and the encoder's graph. */
  folder: z.string(),
  sha256: sha256Schema,
  k: count,
  num_latents: count,
  lower: z.string(),
  upper: z.string(),
  encode: z.string(),
  /** The upper half with its backward pass; absent from what was exported before there was one. */
  gradient: z.string().optional(),
});

export const engineManifestSchema = z.object({
  format: z.literal("facet-engine/1"),
  model: z.object({ id: z.string(), name: z.string(), sha256: sha256Schema }),
  image: z.object({
    size: count,
    patch: count,
    rows: count,
    cols: count,
    mean: z.array(z.number()).length(3),
    std: z.array(z.number()).length(3),
    resample: z.literal("bilinear"),
  }),
  tokens: z.object({ image: z.number().int(), bos: z.number().int(), eos: z.number().int(), pad: z.number().int(), max_positions: count }),
  chat: chatPartsSchema,
  decoder: z.object({ layers: count, kv_heads: count, head_dim: count, width: count }),
  dictionaries: z.array(engineDictionarySchema),
});

export type ChatParts = z.infer<typeof chatPartsSchema>;
export type EngineDictionary = z.infer<typeof engineDictionarySchema>;
export type EngineManifest = z.infer<typeof engineManifestSchema>;
