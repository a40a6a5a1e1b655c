import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { matrixOf } from "./dictionaries/matrix";
import { writeTensors } from "./dictionaries/test-dictionaries";
import { readJsonObject } from "./json-text";
import { assertFinite, openTensors, readInteger, readVector, type StoredTensor } from "./tensor-set";
import { float32, npy, zip } from "./test-npz";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-tensors-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const put = async (name: string, data: string | Uint8Array) => {
  const file = path.join(folder, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, data);
  return file;
};
const tensorIn = async (file: string, name: string): Promise<StoredTensor> => {
  const tensor = (await openTensors(file)).tensors.get(name);
  if (!tensor) throw new Error(`no ${name}`);
  return tensor;
};
const rows = (tensor: StoredTensor, latents: 0 | 1) => matrixOf(tensor, latents).read(0, tensor.shape[latents] as number);

describe("npz", () => {
  const matrix = npy("<f4", [2, 3], float32([1, 2, 3, 4, 5, 6]));

  it.each([false, true])("is read, packed: %s", async (packed) => {
    const file = await put(`a-${packed}.npz`, zip({ "w.npy": matrix, "b.npy": npy("<f2", [1], Buffer.from([0, 0x3c])) }, { packed }));
    const w = await tensorIn(file, "w");
    expect(w).toMatchObject({ dtype: "F32", shape: [2, 3] });
    expect([...(await rows(w, 0))]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...(await rows(w, 1))]).toEqual([1, 4, 2, 5, 3, 6]);
    expect([...(await readVector(await tensorIn(file, "b"), 1))]).toEqual([1]);
  });

  it("in Fortran's order is read as the matrix that it is", async () => {
    const file = await put("f.npz", zip({ "w.npy": npy("<f4", [2, 3], float32([1, 4, 2, 5, 3, 6]), true) }));
    const w = await tensorIn(file, "w");
    expect([...(await rows(w, 0))]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...(await rows(w, 1))]).toEqual([1, 4, 2, 5, 3, 6]);
  });

  it.each<[string, Buffer, string, RegExp]>([
    ["Python objects", zip({ "w.npy": npy("|O", [2], Buffer.alloc(16)) }), "unsafe_format", /o\.npz \(w\) is a pickle/],
    ["big-endian numbers", zip({ "w.npy": npy(">f4", [1], Buffer.alloc(4)) }), "file_invalid", /w has the type >f4/],
    ["elements that are missing", zip({ "w.npy": npy("<f4", [3], Buffer.alloc(8)) }), "file_invalid", /w should take 12 bytes and takes 8/],
    ["no array", zip({ "w.npy": Buffer.from("hello, this is no array") }), "file_invalid", /w is no NumPy array/],
    ["a file cut short", zip({ "w.npy": matrix }).subarray(0, 90), "file_invalid", /not a complete npz/],
    ["nothing", Buffer.alloc(0), "file_invalid", /not a complete npz/],
  ])("with %s is refused", async (_, bytes, code, says) => {
    await expect(openTensors(await put("o.npz", bytes))).rejects.toMatchObject({ code, message: expect.stringMatching(says) });
  });
});

describe("shards", () => {
  const shard = { dtype: "F32", shape: [1], bytes: float32([7]) };
  it("are read through their index", async () => {
    await writeTensors(path.join(folder, "x-1.safetensors"), { a: shard });
    await writeTensors(path.join(folder, "x-2.safetensors"), { b: shard });
    const index = await put("x.safetensors.index.json", JSON.stringify({ weight_map: { a: "x-1.safetensors", b: "x-2.safetensors" } }));
    const set = await openTensors(index);
    expect(set.files.map((file) => path.basename(file))).toEqual(["x-1.safetensors", "x-2.safetensors"]);
    expect([...(await readVector(set.tensors.get("b") as StoredTensor, 1))]).toEqual([7]);
  });

  it.each<[string, unknown, RegExp]>([
    ["no map", {}, /lacks "weight_map"/],
    ["a shard elsewhere", { weight_map: { a: "../x-1.safetensors" } }, /no safetensors file beside the index/],
    ["a shard that is missing", { weight_map: { a: "x-9.safetensors" } }, /x-9\.safetensors is missing/],
    ["a tensor that is missing", { weight_map: { b: "x-1.safetensors" } }, /x-1\.safetensors lacks "b"/],
  ])("with %s are refused", async (_, index, says) => {
    await expect(openTensors(await put("y.safetensors.index.json", JSON.stringify(index)))).rejects.toThrow(says);
  });
});

describe("tensors", () => {
  it.each<[string, Buffer]>([
    ["F32", float32([1, 2, Number.NaN, 4])],
    ["F32", float32([1, 2, Number.NEGATIVE_INFINITY, 4])],
    ["F16", Buffer.from(Uint16Array.from([0x3c00, 0x7bff, 0x7c00, 0]).buffer)],
    ["BF16", Buffer.from(Uint16Array.from([0x3f80, 0x7f7f, 0xffc0, 0]).buffer)],
    ["F64", Buffer.from(Float64Array.from([1, Number.MAX_VALUE, Number.POSITIVE_INFINITY, 2]).buffer)],
  ])("that are not finite are refused by place (%s)", async (dtype, bytes) => {
    const file = path.join(folder, "n.safetensors");
    await writeTensors(file, { w: { dtype, shape: [2, 2], bytes } });
    await expect(tensorIn(file, "w").then(assertFinite)).rejects.toThrow(
      /w \[2, 2\] of .*n\.safetensors holds NaN or an infinity at \[1, 0\]/,
    );
    bytes.fill(0, bytes.length / 2, (3 * bytes.length) / 4);
    await writeTensors(file, { w: { dtype, shape: [2, 2], bytes } });
    await expect(tensorIn(file, "w").then(assertFinite)).resolves.toBeUndefined();
  });

  it("give whole numbers and vectors, or say what they are", async () => {
    const file = path.join(folder, "v.safetensors");
    await writeTensors(file, {
      k: { dtype: "I64", shape: [], bytes: Buffer.from(BigInt64Array.from([32n]).buffer) },
      i: { dtype: "I8", shape: [2], bytes: Buffer.alloc(2) },
      row: { dtype: "F32", shape: [1, 3], bytes: float32([1, 2, 3]) },
      one: { dtype: "F32", shape: [], bytes: float32([5]) },
    });
    expect(await readInteger(await tensorIn(file, "k"))).toBe(32);
    expect([...(await readVector(await tensorIn(file, "row"), 3))]).toEqual([1, 2, 3]);
    expect([...(await readVector(await tensorIn(file, "one"), 3))]).toEqual([5, 5, 5]);
    await expect(tensorIn(file, "row").then((tensor) => readVector(tensor, 4))).rejects.toThrow(
      /row \[1, 3\] of .* should have 4 elements/,
    );
    await expect(tensorIn(file, "i").then((tensor) => readVector(tensor, 2))).rejects.toThrow(/stored as I8/);
    await expect(tensorIn(file, "row").then(readInteger)).rejects.toThrow(/should be one whole number/);
  });

  it("that a header names twice are refused", async () => {
    const json = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    await expect(openTensors(await put("t.safetensors", Buffer.concat([length, Buffer.from(json), Buffer.alloc(4)])))).rejects.toThrow(
      /names "a" twice/,
    );
  });
});

describe("settings", () => {
  it("are read with a byte-order mark", async () => {
    expect(await readJsonObject(await put("bom.json", '\uFEFF{"k": 32}'))).toEqual({ k: 32 });
  });

  it.each<[string, string, RegExp]>([
    ["", "", /is empty/],
    ["a key twice", '{"k": 1, "x": {"y": "}", "y\\"": 2}, "k": 2}', /has the key "k" twice/],
    ["a key twice inside", '{"k": 1, "x": [{"y": 1, "\\u0079": 2}]}', /has the key "y" twice/],
    ["NaN", '{"l0": NaN}', /holds NaN, which JSON does not have/],
    ["half a file", '{"k": 1, "x', /is not JSON/],
    ["a list", "[1]", /does not hold a JSON object/],
  ])("with %s are refused", async (_, text, says) => {
    await expect(readJsonObject(await put("s.json", text))).rejects.toMatchObject({
      code: "file_invalid",
      message: expect.stringMatching(says),
    });
  });

  it("may have the same key in different objects, and keys in texts", async () => {
    expect(await readJsonObject(await put("ok.json", '{"a": {"k": 1}, "b": [{"k": 1}, {"k": 2}], "t": "\\"k\\": {"}'))).toBeDefined();
  });
});
