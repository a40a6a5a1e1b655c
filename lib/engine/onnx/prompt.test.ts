import { describe, expect, it } from "vitest";
import type { Message } from "@/lib/core/protocol";
import type { EngineManifest } from "./manifest";
import { assemblePrompt, imagePrompt, renderChat } from "./prompt";
import { TextCodec } from "./text";

const specials = ["<pad>", "<unk>", "<s>", "</s>", "<image>", "<user>", "<assistant>"];
const vocabulary = [...specials, "what", "is", "it", "?", "a", "dog", "."];

const codec = new TextCodec(
  {
    version: "1.0",
    added_tokens: specials.map((content, id) => ({
      id,
      content,
      special: true,
      normalized: false,
      single_word: false,
      lstrip: false,
      rstrip: false,
    })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Lowercase" },
        ...["?", "."].map((mark) => ({ type: "Replace", pattern: { String: mark }, content: ` ${mark} ` })),
      ],
    },
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab: Object.fromEntries(vocabulary.map((word, id) => [word, id])), unk_token: "<unk>" },
  },
  { clean_up_tokenization_spaces: true, unk_token: "<unk>" },
);

const manifest: EngineManifest = {
  format: "facet-engine/1",
  model: { id: "m", name: "M", sha256: "0".repeat(64) },
  image: { size: 4, patch: 2, rows: 2, cols: 2, mean: [0, 0, 0], std: [1, 1, 1], resample: "bilinear" },
  tokens: { image: 4, bos: 2, eos: 3, pad: 0, max_positions: 40 },
  chat: { prefix: "<s>", user: "<user>", image: "<image>", text: " ", assistant: "<assistant>", end: "</s>" },
  decoder: { layers: 2, kv_heads: 1, head_dim: 2, width: 2 },
  dictionaries: [],
};

const image = { type: "image", image: { sha256: "a".repeat(64) } } as const;
const user = (text: string, ...images: (typeof image)[]): Message => ({ role: "user", content: [{ type: "text", text }, ...images] });
const assistant = (text: string): Message => ({ role: "assistant", content: [{ type: "text", text }] });
const ids = (...words: string[]) => words.map((word) => vocabulary.indexOf(word));

describe("prompt", () => {
  it("puts the template's parts around turns, pictures before their turn's words", () => {
    const chat = [user("What is it?", image), assistant("a dog ."), user("is it?")];
    expect(renderChat(chat, manifest.chat)).toBe("<s><user><image> What is it?<assistant> a dog .</s><user> is it?<assistant>");
  });

  it("expands a picture to one position a cell and says where", () => {
    const prompt = assemblePrompt([user("What is it?", image, image)], 4, manifest, codec);
    expect(prompt.ids).toEqual(ids("<s>", "<user>", ...Array(8).fill("<image>"), "what", "is", "it", "?", "<assistant>"));
    expect(prompt.layout).toEqual({
      length: 15,
      images: [
        { start: 2, rows: 2, cols: 2 },
        { start: 6, rows: 2, cols: 2 },
      ],
    });
    expect(imagePrompt(image.image, manifest, codec).ids).toEqual(ids("<s>", "<user>", ...Array(4).fill("<image>")));
  });

  it("names the words that the model cannot read, each once, and no mere marks", () => {
    expect(assemblePrompt([user("is it a Zeppelin, a zeppelin ! Zeppelin?")], 4, manifest, codec).unknown).toEqual([
      "Zeppelin",
      "zeppelin",
    ]);
  });

  it("counts the room that the answer needs", () => {
    const words = (n: number) => [user("dog ".repeat(n))];
    expect(assemblePrompt(words(33), 4, manifest, codec).layout.length).toBe(36);
    expect(() => assemblePrompt(words(34), 4, manifest, codec)).toThrow(expect.objectContaining({ code: "prompt_too_long" }));
  });
});

describe("TextCodec", () => {
  it("adds up, token by token, to the whole text", () => {
    const written: number[] = [];
    let text = "";
    for (const id of ids("a", "dog", ".", "what", "is", "it", "?", "a", "dog", ".", "is")) {
      text += codec.added(written, id);
      written.push(id);
    }
    expect(text).toBe(codec.decode(written));
    expect(text).toBe("a dog. what is it? a dog. is");
    expect(codec.added(ids("a"), 6)).toBe("");
    expect(codec.marker(3)).toBe("</s>");
    expect(codec.marker(8)).toBeNull();
  });
});
