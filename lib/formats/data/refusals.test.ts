/** Files that are broken or odd: refused with a sentence that names the file, the key and what to do, or read right; never anything else. */
import { statSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FacetError } from "@/lib/core/errors";
import { sharp } from "@/lib/sharp";
import { openSource } from "../readers";
import type { Source } from "../source";
import { imageSetAmong } from "./image-part";
import { openImageSet, readyImages } from "./image-set";
import { safetensorsCacheReader } from "./safetensors-cache";
import { writeInto } from "./test-files";
import { rowsOf } from "./test-rows";

const fixtures = path.join(import.meta.dirname, "fixtures");
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-odd-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const write = (name: string, content: string | Uint8Array) => writeInto(folder, name, content);

interface Written {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

function safetensors(tensors: Record<string, Written>): Buffer {
  let at = 0;
  const header: Record<string, object> = {};
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.byteLength] };
    at += bytes.byteLength;
  }
  let json = JSON.stringify(header);
  json += " ".repeat((8 - (json.length % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, Buffer.from(json), ...Object.values(tensors).map(({ bytes }) => bytes)]);
}

const bytesOf = (list: { buffer: ArrayBufferLike; byteOffset: number; byteLength: number }) =>
  new Uint8Array(list.buffer, list.byteOffset, list.byteLength);
/** A cache over one text of four tokens, of entries (text, position, latent, value). */
function cache(
  entries: [number, number, number, number][],
  more: { values?: Float32Array; dtype?: "U16" | "I64"; tokens?: boolean } = {},
): Buffer {
  const places = entries.flatMap((entry) => entry.slice(0, 3));
  const wide = more.dtype === "I64";
  return safetensors({
    locations: {
      dtype: wide ? "I64" : "U16",
      shape: [entries.length, 3],
      bytes: bytesOf(wide ? BigInt64Array.from(places, BigInt) : Uint16Array.from(places)),
    },
    activations: {
      dtype: "F32",
      shape: [entries.length],
      bytes: bytesOf(more.values ?? Float32Array.from(entries, ([, , , value]) => value)),
    },
    ...(more.tokens !== false && {
      tokens: { dtype: "I64", shape: [2, 4], bytes: bytesOf(BigInt64Array.from([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n])) },
    }),
  });
}

describe("a cache is refused with file, key and remedy", () => {
  const odd: [string, Buffer, RegExp][] = [
    ["NaN", cache([[0, 0, 3, Number.NaN]]), /"activations" holds NaN for feature 3, item 0, position 0/],
    ["Infinity", cache([[0, 1, 3, Number.POSITIVE_INFINITY]]), /"activations" holds Infinity for feature 3/],
    ["beyond fp16", cache([[0, 1, 3, 70_000]]), /"activations" holds 70000 for feature 3/],
    ["a latent beyond the name's", cache([[0, 1, 8, 1]]), /row 0 of "locations" names feature 8; the file's name says 0 to 7/],
    [
      "texts out of order",
      cache([
        [1, 0, 3, 1],
        [0, 0, 3, 1],
      ]),
      /"locations" is not in order: item 0 comes after item 1/,
    ],
    [
      "a position twice",
      cache([
        [0, 2, 3, 1],
        [0, 2, 3, 1],
      ]),
      /feature 3, item 0 the position 2 twice/,
    ],
    ["a text that is not there", cache([[2, 0, 3, 1]]), /"locations" names item 2; there are 2/],
    ["nothing", Buffer.alloc(0), /it has 0 bytes/],
    ["half", cache([[0, 0, 3, 1]]).subarray(0, 150), /complete safetensors/],
    ["no activations", safetensors({ locations: { dtype: "U16", shape: [0, 3], bytes: new Uint8Array(0) } }), /lacks "activations"/],
    [
      "pairs for triples",
      safetensors({
        locations: { dtype: "U16", shape: [1, 2], bytes: new Uint8Array(4) },
        activations: { dtype: "F32", shape: [1], bytes: new Uint8Array(4) },
      }),
      /must be integers \[N, 3\]/,
    ],
    [
      "too few activations",
      safetensors({
        locations: { dtype: "U16", shape: [1, 3], bytes: new Uint8Array(6) },
        activations: { dtype: "F32", shape: [0], bytes: new Uint8Array(0) },
      }),
      /"activations" is \[0\] for 1 locations/,
    ],
  ];
  for (const [name, bytes, message] of odd) {
    it(name, async () => {
      const file = await write("latents/layers.0/0_7.safetensors", bytes);
      const refused = await safetensorsCacheReader.read(path.join(folder, "latents"), {}).then(
        () => null,
        (error: unknown) => error as FacetError,
      );
      expect(refused).toBeInstanceOf(FacetError);
      expect(refused?.message).toMatch(message);
      expect(refused?.message).toContain(file);
      expect(refused?.fix.length).toBeGreaterThan(10);
    });
  }

  it("files that hold the same feature", async () => {
    await write("layers.0/0_7.safetensors", cache([[0, 0, 3, 1]]));
    await write("layers.0/4_9.safetensors", cache([[0, 0, 3, 1]]));
    await expect(safetensorsCacheReader.read(folder, {})).rejects.toMatchObject({
      message: expect.stringContaining("both hold feature 4"),
    });
  });
});

it("features are counted from the file's first or from 0, as the numbers say", async () => {
  const latents = async () => {
    const [part] = await safetensorsCacheReader.read(folder, { grid: "2x2" });
    return (await rowsOf(part?.tables.features)).filter((row) => !row.dead).map((row) => row.index);
  };
  const file = await write("layers.0/8_15.safetensors", cache([[0, 0, 3, 1]]));
  expect(await latents()).toEqual([11]);
  await writeFile(
    file,
    cache(
      [
        [0, 0, 11, 1],
        [0, 3, 12, 1],
      ],
      { dtype: "I64", tokens: false },
    ),
  );
  expect(await latents()).toEqual([11, 12]);
  await writeFile(
    file,
    cache(
      [
        [0, 0, 3, 1],
        [0, 3, 4, 1],
      ],
      { dtype: "I64", tokens: false },
    ),
  );
  expect(await latents()).toEqual([11, 12]);
});

it("a cache without its tokenizer brings statistics and says what is missing; beside it, it spells the texts", async () => {
  const at = path.join(folder, "latents");
  await write(
    "latents/layers.0/0_7.safetensors",
    cache([
      [0, 1, 3, 2],
      [1, 0, 3, 1],
    ]),
  );
  const [bare] = await safetensorsCacheReader.read(at, {});
  expect(bare?.found).toContain("--tokenizer");
  expect((await rowsOf(bare?.tables.features)).find((row) => row.index === 3)).toMatchObject({ max_activation: 2, text_density: 2 / 8 });
  expect(bare?.tables.activations?.rows).toBe(0);
  const tokenizer = path.join(fixtures, "delphi/tokenizer.json");
  for (const options of [{ tokenizer }, { paths: [at, tokenizer] }]) {
    const [part] = await safetensorsCacheReader.read(at, options);
    expect(part?.tables.activations?.rows).toBe(2);
  }
  const wrong = await write("tokenizer.json", "{}");
  await expect(safetensorsCacheReader.read(at, { tokenizer: wrong })).rejects.toMatchObject({
    message: expect.stringContaining("is no tokenizer.json"),
  });
});

describe("image sets", () => {
  const png = (value: number) =>
    sharp({ create: { width: 4, height: 3, channels: 3, background: { r: value, g: 0, b: 0 } } })
      .png()
      .toBuffer();

  it("a folder is read in natural order, whatever else lies in it", async () => {
    for (const name of ["10.png", "2.png", "1.png", "sub/0.png"])
      await write(name, await png(Number.parseInt(name.replace("sub/", "9"), 10)));
    await write("notes.txt", "hello");
    await write(".DS_Store", "x");
    const set = await openImageSet(folder);
    const sources: (string | null)[] = [];
    if (set) for await (const image of readyImages(set, [0, 1, 2, 3])) sources.push(image.source);
    expect(sources).toEqual(["1.png", "2.png", "10.png", path.join("sub", "0.png")]);
    expect(await openImageSet(await write("only/notes.txt", "x").then(path.dirname))).toBeNull();
  });

  it("a picture that cannot be read is refused by its name, with what to do", async () => {
    const odd: [string, Uint8Array, RegExp][] = [
      ["a.jpg", Buffer.from("this is a note"), /a\.jpg: The file is not a picture/],
      ["a.jpg", new Uint8Array(0), /a\.jpg: The file is empty/],
      ["a.svg", Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>"), /a\.svg: Facet does not read SVG/],
      ["a.png", (await png(1)).subarray(0, 60), /a\.png: The PNG file is damaged/],
    ];
    for (const [name, bytes, message] of odd) {
      const file = await write(`set/${name}`, bytes);
      const set = await openImageSet(path.join(folder, "set"));
      const read = async () => {
        if (set) for await (const _ of readyImages(set, [0]));
      };
      await expect(read()).rejects.toMatchObject({
        code: "file_invalid",
        message: expect.stringMatching(message),
        fix: expect.stringContaining("picture"),
      });
      await rm(file);
    }
  });

  it("two at once are refused", async () => {
    await write("one/a.png", await png(1));
    await write("two/a.png", await png(2));
    await expect(imageSetAmong([path.join(folder, "one"), path.join(folder, "two")])).rejects.toMatchObject({
      message: expect.stringContaining("both image sets"),
    });
  });
});

/** Everything of a source, as an import reads it. */
async function drain(source: Source): Promise<void> {
  await rowsOf(source.images);
  await rowsOf(source.texts);
  for (const { tables } of source.dictionaries) for (const table of Object.values(tables)) await rowsOf(table);
}

describe("whatever is cut off or flipped, a reader reads or refuses", () => {
  let seed = 1;
  const next = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed % Math.max(1, below);
  };
  const options = { model: "m", hook: "model.layers.1", grid: "4x4" };
  const copied = async (from: string, name: string): Promise<string[]> => {
    const target = path.join(folder, name);
    await cp(path.join(fixtures, from), target, { recursive: true });
    const files = (await readdir(target, { recursive: true })).map((one) => path.join(target, one));
    return files.filter((one) => statSync(one).isFile());
  };
  const formats: [string, string][] = [
    ["delphi", ""],
    ["paper/cache/model.layers.24", "model.layers.24"],
    ["paper/explanations", ""],
    ["saev", ""],
    ["neuronpedia", ""],
    ["images", ""],
  ];
  for (const [from, name] of formats) {
    it(from, async () => {
      const at = path.join(folder, "data", name);
      const files = await copied(from, path.join("data", name));
      const pictures = from === "images" ? [path.join(fixtures, "paper/cache/model.layers.24")] : [];
      const path_ = from === "saev" ? path.join(at, "token_acts.npz") : at;
      for (let trial = 0; trial < 12; trial++) {
        const file = files[next(files.length)] as string;
        const whole = await readFile(file);
        const broken = Buffer.from(whole);
        const cut = trial % 3 === 0 ? broken.subarray(0, next(whole.length)) : broken;
        for (let flips = trial % 3; flips > 0 && cut.length; flips--) cut[next(cut.length)] = next(256);
        await writeFile(file, cut);
        const refused = await openSource([path_, ...pictures], options)
          .then(drain)
          .then(
            () => null,
            (error: unknown) => error,
          );
        if (refused !== null) {
          expect(refused, `${file}, trial ${trial}: ${(refused as Error).stack}`).toBeInstanceOf(FacetError);
          expect((refused as FacetError).code, `${file}, trial ${trial}`).toMatch(
            /^(file_invalid|bundle_invalid|unsafe_format|format_unknown)$/,
          );
        }
        await writeFile(file, whole);
      }
    }, 60_000);
  }
});
