/** From files of other tools to what an import reads. */
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openSource } from "../readers";
import { fixtures } from "./test-dictionaries";

const at = (name: string) => path.join(fixtures, name);

describe("an import of weights", () => {
  it("has every feature with nothing measured, and its neighbours", async () => {
    const source = await openSource([at("sae-lens-topk")]);
    expect(source.format).toBe("SAELens");
    expect(source.model).toMatchObject({ id: "gemma-2-2b", name: "gemma-2-2b" });
    const [dictionary, ...others] = source.dictionaries;
    expect(others).toEqual([]);
    expect(dictionary?.entry).toMatchObject({ hook: "model.layers.12", layer: 12, num_latents: 40, width: 16, activation: "topk", k: 2 });
    expect(dictionary?.entry.metrics).toMatchObject({ fvu: null, dead_share: null });
    const features = [];
    for await (const batch of dictionary?.tables.features.batches() ?? []) features.push(...batch);
    expect(features.length).toBe(40);
    expect(features.every(({ density, dead, max_activation }) => density === null && dead === null && max_activation === null)).toBe(true);
    let neighbours = 0;
    for await (const batch of dictionary?.tables.neighbours.batches() ?? []) neighbours += batch.length;
    expect(neighbours).toBe(400);
  });

  it("is the same for the same files, and another for other settings", async () => {
    const [one, same, other] = await Promise.all(
      ["sparsify", "sparsify", "sparsify-sharded"].map((name) => openSource([at(name)], { model: "llava" })),
    );
    expect(same?.dictionaries[0]?.content).toBe(one?.dictionaries[0]?.content);
    expect(other?.dictionaries[0]?.content).not.toBe(one?.dictionaries[0]?.content);
  });

  it("asks for the model and the hook, where no file says them", async () => {
    await expect(openSource([at("sparsify")])).rejects.toMatchObject({ fix: expect.stringContaining("--model") });
    await expect(openSource([at("gemma-scope")], { model: "gemma-2-2b" })).rejects.toMatchObject({
      fix: expect.stringContaining("--hook"),
    });
    const source = await openSource([at("gemma-scope")], { model: "gemma-2-2b", hook: "model.layers.12" });
    expect(source.dictionaries[0]?.entry.hook).toBe("model.layers.12");
  });

  it("refuses a folder whose only weights are a pickle, with the command that converts them", async () => {
    await expect(openSource([at("dictionary-learning-pickle")])).rejects.toMatchObject({
      code: "unsafe_format",
      fix: expect.stringContaining("save_file"),
    });
  });
});
