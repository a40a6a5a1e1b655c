import { mkdtemp, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { floatToHalf } from "@/lib/core/sparse-map";
import { readSafetensorsHeader, readTensor } from "./safetensors";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-safetensors-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A file with the header given, as text, and the tensors' bytes. */
async function write(name: string, header: unknown, data: Uint8Array): Promise<string> {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.byteLength));
  const file = path.join(folder, name);
  await writeFile(file, Buffer.concat([length, json, data]));
  return file;
}

const numbers = [0, 1, -2.5, 0.333251953125, 65504, 2 ** -24];

async function good(): Promise<string> {
  const f32 = new Uint8Array(Float32Array.from(numbers).buffer);
  const f16 = new Uint8Array(Uint16Array.from(numbers, floatToHalf).buffer);
  const bf16 = new Uint8Array(Uint16Array.from(new Uint32Array(Float32Array.from([1, -2.5, 3e38]).buffer), (bits) => bits >>> 16).buffer);
  return write(
    "good.safetensors",
    {
      __metadata__: { format: "pt" },
      a: { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] },
      b: { dtype: "F16", shape: [6], data_offsets: [24, 36] },
      c: { dtype: "BF16", shape: [3], data_offsets: [36, 42] },
      i: { dtype: "I64", shape: [], data_offsets: [42, 50] },
    },
    Buffer.concat([f32, f16, bf16, Buffer.alloc(8)]),
  );
}

describe("safetensors", () => {
  it("reads header and tensors of every float width", async () => {
    const file = await good();
    const header = await readSafetensorsHeader(file);
    expect(header.metadata).toEqual({ format: "pt" });
    expect(header.tensors.a).toEqual({ dtype: "F32", shape: [2, 3], start: header.dataStart, end: header.dataStart + 24 });
    expect([...(await readTensor(file, "a")).data]).toEqual([...Float32Array.from(numbers)]);
    expect((await readTensor(file, "a")).shape).toEqual([2, 3]);
    expect([...(await readTensor(file, "b")).data]).toEqual(numbers);
    const [one, minus, large] = (await readTensor(file, "c")).data;
    expect([one, minus]).toEqual([1, -2.5]);
    expect(large).toBeGreaterThan(2.9e38);
  });

  it.each<[string, () => Promise<string>, RegExp]>([
    ["a short file", async () => await truncateTo(await good(), 5), /has 5 bytes/],
    ["a truncated tensor", async () => truncateTo(await good(), -10), /ends at byte/],
    ["a header beyond the file", async () => truncateTo(await good(), 40), /header claims/],
    ["a header that is no JSON", () => write("x", "{nope", new Uint8Array(0)), /not JSON/],
    [
      "an unknown type",
      () => write("x", { a: { dtype: "F128", shape: [1], data_offsets: [0, 16] } }, new Uint8Array(16)),
      /unknown type F128/,
    ],
    [
      "sizes that disagree",
      () => write("x", { a: { dtype: "F32", shape: [3], data_offsets: [0, 8] } }, new Uint8Array(8)),
      /should take 12/,
    ],
    ["an entry without a shape", () => write("x", { a: { dtype: "F32", data_offsets: [0, 8] } }, new Uint8Array(8)), /lacks dtype, shape/],
  ])("refuses %s", async (_, make, says) => {
    await expect(readSafetensorsHeader(await make())).rejects.toMatchObject({
      code: "bundle_invalid",
      message: expect.stringMatching(says),
    });
  });

  it("names a tensor that is not there, and one that holds no fractions", async () => {
    const file = await good();
    await expect(readTensor(file, "W_dec")).rejects.toThrow(/no tensor "W_dec"; it has a, b, c, i/);
    await expect(readTensor(file, "i")).rejects.toThrow(/type I64/);
  });
});

/** Cuts a file to its first `bytes` bytes, or by `-bytes` at its end. */
async function truncateTo(file: string, bytes: number): Promise<string> {
  await truncate(file, bytes < 0 ? (await stat(file)).size + bytes : bytes);
  return file;
}
