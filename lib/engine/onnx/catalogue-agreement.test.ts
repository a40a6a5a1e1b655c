/** The engine, from a picture's file to its features, against what the pipeline stored of the same picture by another way (PyTorch, Pillow). */
import path from "node:path";
import { describe, expect, it } from "vitest";
import { PictureCodes } from "@/lib/core/picture-codes";
import { coverage, emptyRegion, paintShape } from "@/lib/core/region";
import { regionMeans } from "@/lib/core/region-contrast";
import { decodeBytes, toDense } from "@/lib/core/sparse-map";
import { env } from "@/lib/env";
import { activationColumns, imageColumns } from "@/lib/formats/bundle";
import { openTable } from "@/lib/formats/parquet";
import { decodeImage } from "../decode-image";
import { createEngines, readManifest } from "../registry";
import { parseManifest } from "./load";

const bundle = path.join(env.engineDir, "..", "bundle");
const sampleSize = 12;

async function samplePictures(): Promise<Map<string, Uint8Array>> {
  const pictures = new Map<string, Uint8Array>();
  const table = await openTable(path.join(bundle, "images.parquet"), imageColumns);
  const stride = Math.max(1, Math.floor(table.rows / sampleSize));
  let row = 0;
  for await (const batch of table.batches()) for (const { sha256, bytes } of batch) if (row++ % stride === 0) pictures.set(sha256, bytes);
  return pictures;
}

describe("engine and catalogue", { timeout: 120_000 }, () => {
  it("agree on which features fire where, and how strongly", async () => {
    const text = await readManifest(env.engineDir);
    if (text === null) throw new Error(`No model at ${env.engineDir}.`);
    const manifest = parseManifest(text);
    const pictures = await samplePictures();
    for (const engine of createEngines(env.engineDir, manifest).values()) {
      const id = engine.ref.slice(engine.ref.indexOf("/") + 1);
      const found = new Map<string, Map<number, Float32Array>>();
      /** As a scan of the catalogue keeps it. */
      const packed = new Map<string, PictureCodes>();
      for (const [sha256, bytes] of pictures) {
        const told = await engine.features(
          { dictionary: engine.ref, image: { sha256 }, limit: 100_000 },
          { signal: new AbortController().signal, resolveImage: async () => ({ ...(await decodeImage(bytes)), sha256 }) },
        );
        const { features, rows, cols } = told;
        packed.set(sha256, PictureCodes.pack(told));
        found.set(sha256, new Map(features.map(({ index, map }) => [index, toDense(map, rows, cols)])));
      }
      let cells = 0;
      let off = 0;
      let maps = 0;
      let meansOff = 0;
      const table = await openTable(path.join(bundle, id, "activations.parquet"), activationColumns);
      for await (const batch of table.batches()) {
        for (const { image, index, rows, cols, peak, positions, values } of batch) {
          const own = image === null ? undefined : found.get(image);
          if (!own || rows * cols === 1) continue;
          const stored = toDense(decodeBytes(positions, values), rows, cols);
          const computed = own.get(index) ?? new Float32Array(stored.length);
          maps++;
          // The mean in a painted region, as pictures are ranked by it: of a stored map and of what a scan keeps.
          const half = paintShape(emptyRegion(rows, cols), { kind: "box", from: { x: 0, y: 0 }, to: { x: cols / 2 + 0.25, y: rows } });
          const inside = [decodeBytes(positions, values), packed.get(image as string)?.mapOf(index)?.map].map((map) =>
            map ? regionMeans(map, coverage(half)).inside : 0,
          ) as [number, number];
          if (Math.abs(inside[0] - inside[1]) > 0.002 * peak) meansOff++;
          stored.forEach((value, cell) => {
            cells++;
            if (Math.abs(value - (computed[cell] as number)) > 0.01 * peak) off++;
          });
        }
      }
      // A picture is an example of about two features; a comparison of next to none would prove nothing.
      expect(maps).toBeGreaterThan(20);
      // What is left are latents on the verge of the k largest, which the last bit of a sum decides.
      expect(off / cells).toBeLessThan(0.002);
      expect(meansOff / maps).toBeLessThan(0.02);
    }
  });
});
