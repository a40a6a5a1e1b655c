/** The engine's baseline against what the whole checkpoint writes in PyTorch (worker/make_fixtures/generation.py), token for token. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { generateRequestSchema, sha256Schema } from "@/lib/core/protocol";
import { logSoftmax } from "@/lib/core/sampling";
import { env } from "@/lib/env";
import { imageColumns } from "@/lib/formats/bundle";
import { openTable } from "@/lib/formats/parquet";
import { decodeImage } from "../decode-image";
import { createEngines, readManifest } from "../registry";
import { parseManifest } from "./load";
import type { OnnxEngine } from "./onnx-engine";

const fixtureSchema = z.object({
  model: sha256Schema,
  maxTokens: z.number().int(),
  cases: z.array(
    z.object({
      turns: z.array(z.object({ role: z.enum(["user", "assistant"]), images: z.array(sha256Schema), text: z.string() })),
      prompt: z.string(),
      tokens: z.array(z.number().int()),
      text: z.string(),
      /** ln of the first token's distribution. */
      first: z.array(z.number()),
    }),
  ),
});
type Fixture = z.infer<typeof fixtureSchema>;

const folder = env.engineDir;
const signal = new AbortController().signal;

async function picturesOf({ cases }: Fixture): Promise<Map<string, Uint8Array>> {
  const wanted = new Set(cases.flatMap(({ turns }) => turns.flatMap(({ images }) => images)));
  const found = new Map<string, Uint8Array>();
  const table = await openTable(path.join(folder, "..", "bundle", "images.parquet"), imageColumns);
  for await (const batch of table.batches()) for (const { sha256, bytes } of batch) if (wanted.has(sha256)) found.set(sha256, bytes);
  return found;
}

describe("baseline", { timeout: 120_000 }, () => {
  let fixture: Fixture;
  let pictures: Map<string, Uint8Array>;
  let engines: OnnxEngine[];

  beforeAll(async () => {
    fixture = fixtureSchema.parse(JSON.parse(await readFile(path.join(import.meta.dirname, "fixtures", "plain-generation.json"), "utf8")));
    const manifest = parseManifest((await readManifest(folder)) ?? "");
    if (manifest.model.sha256 !== fixture.model) {
      throw new Error("The fixture was written with another model: run worker/make_fixtures/generation.py again.");
    }
    pictures = await picturesOf(fixture);
    engines = [...createEngines(folder, manifest).values()];
  });

  it("is what the checkpoint writes without any dictionary, beside arms that are clamped", async () => {
    for (const engine of engines) {
      for (const { turns, prompt, tokens, first } of fixture.cases) {
        const asked = generateRequestSchema.parse({
          dictionary: engine.ref,
          messages: turns.map(({ role, images, text }) => ({
            role,
            content: [...images.map((sha256) => ({ type: "image", image: { sha256 } })), { type: "text", text }],
          })),
          interventions: [{ feature: 3, op: "set", value: 6, unit: "raw", scope: { type: "all" } }],
          controls: ["baseline", "reconstruction"],
          sampling: { maxTokens: fixture.maxTokens },
        });
        const written: number[] = [];
        let logits = new Float32Array(0);
        const events = engine.generate(asked, {
          signal,
          unitOf: () => 1,
          resolveImage: async (image) => {
            if (!("sha256" in image)) throw new Error("unreachable");
            return { ...(await decodeImage(pictures.get(image.sha256) as Uint8Array)), sha256: image.sha256 };
          },
          tap: {
            onLogits: (arm, i, given) => {
              if (arm === "baseline" && i === 0) logits = given.slice();
            },
          },
        });
        for await (const event of events) {
          if (event.type === "meta") expect(event.prompt.text).toBe(prompt);
          if (event.type === "token" && event.arm === "baseline") written.push(event.id);
        }
        expect(written).toEqual(tokens);
        const probabilities = logSoftmax(logits).map(Math.exp);
        expect(Math.max(...first.map((x, id) => Math.abs(Math.exp(x) - (probabilities[id] as number))))).toBeLessThan(1e-3);
      }
    }
  });
});
