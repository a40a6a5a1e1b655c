import { expect, it } from "vitest";
import { analyseRequestSchema, type Message } from "@/lib/core/protocol";
import { toDense } from "@/lib/core/sparse-map";
import { resolveImage, localSubject as subject } from "../conformance-subject";
import type { OnnxEngine } from "./onnx-engine";

const image = { dataUrl: "data:image/png;base64,AAAA" };
const options = { signal: new AbortController().signal, resolveImage };
const say = (text: string, picture: boolean): Message[] => [
  { role: "user", content: [...(picture ? [{ type: "image" as const, image }] : []), { type: "text", text }] },
];

it("tells what fires on every token of a prompt, and on the picture's cells what it tells of the picture alone", async () => {
  const made = await subject({ concurrency: 1, bound: 2 });
  const engine = made.engine as OnnxEngine;
  const { dictionary } = made;
  const found = await engine.promptFeatures({ dictionary, messages: say("is there a dog ?", true) }, options);
  expect(found.positions.map(({ kind, text, cell }) => (cell ? "#" : kind === "template" ? text : text.trim())).join(" ")).toBe(
    `<s> <user> ${"# ".repeat(144)}is there a dog ? <assistant>`,
  );
  expect(found.images).toEqual([{ start: 2, rows: 12, cols: 12 }]);
  expect(found.unknown).toEqual([]);
  // The cells stand before the words, so that these change nothing on them.
  const alone = await engine.features(analyseRequestSchema.parse({ dictionary, image, limit: 512 }), options);
  const on = new Map(found.features.map((feature) => [feature.index, toDense(feature.map, 1, found.positions.length)]));
  for (const { index, map } of alone.features) {
    const cells = (on.get(index) ?? new Float32Array(150)).slice(2, 146);
    const wanted = toDense(map, 12, 12);
    for (const [cell, value] of wanted.entries()) {
      expect(Math.abs(value - (cells[cell] as number))).toBeLessThanOrEqual(1e-3 * Math.max(1, value));
    }
  }
  // Every token has something, and a word other features than a cell.
  const active = (position: number) => [...on].filter(([, values]) => (values[position] as number) > 0).map(([index]) => index);
  for (const position of found.positions.keys()) expect(active(position).length).toBeGreaterThan(0);
  const dog = found.positions.findIndex(({ text }) => text.trim() === "dog");
  expect(active(dog).filter((index) => !alone.features.some((feature) => feature.index === index)).length).toBeGreaterThan(3);
  // Without a picture, the same words are read.
  const words = await engine.promptFeatures({ dictionary, messages: say("is there a blorb ?", false) }, options);
  expect([words.images, words.unknown, words.positions.length]).toEqual([[], ["blorb"], 8]);
  await expect(engine.promptFeatures({ dictionary, messages: say("  ", true) }, options)).rejects.toMatchObject({ code: "prompt_empty" });
});
