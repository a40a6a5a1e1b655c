/** Damaged files: every one is refused by a FacetError or read as what its bytes say, and none hangs. */
import { readdirSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FacetError } from "@/lib/core/errors";
import { createRandom } from "@/lib/core/random";
import { dictionaryReader } from "./reader";
import { fixtures } from "./test-dictionaries";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-fuzz-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Cut short, or with some bytes changed; most changes fall into the first 600 bytes, where headers are. */
function damaged(bytes: Buffer, next: () => number): Buffer {
  const out = Buffer.from(bytes);
  const kind = next();
  if (kind < 0.3) return out.subarray(0, Math.floor(next() * out.length));
  const flips = kind < 0.8 ? 1 : 1 + Math.floor(next() * 8);
  for (let i = 0; i < flips; i++) {
    const at = Math.floor(next() * (next() < 0.7 ? Math.min(600, out.length) : out.length));
    out[at] = (out[at] as number) ^ (1 << Math.floor(next() * 8));
  }
  return out;
}

async function filesUnder(at: string): Promise<string[]> {
  const names = await readdir(at, { recursive: true });
  const files = [];
  for (const name of names) if ((await stat(path.join(at, name))).isFile()) files.push(name);
  return files.sort();
}

/** Reads what can be read of a dictionary, as an import does, and more. */
async function use(given: string): Promise<"read" | "refused"> {
  try {
    await dictionaryReader.recognise(given);
    for (const part of await dictionaryReader.read(given, {})) {
      if (part.kind !== "weights") throw new Error("no weights");
      const { weights } = part;
      const { num_latents, width } = weights;
      expect(Number.isSafeInteger(num_latents) && num_latents > 0 && Number.isSafeInteger(width) && width > 0).toBe(true);
      const rows = [await weights.encoderRows(0, num_latents), await weights.decoderRows(0, num_latents)];
      for (const values of [...rows, await weights.encoderBias(), await weights.decoderBias(), await weights.threshold()]) {
        // Finite floats may be multiplied beyond what a float holds where norms are folded.
        expect(values?.some(Number.isNaN) ?? false).toBe(false);
      }
      expect(rows[0]?.length).toBe(num_latents * width);
    }
    return "read";
  } catch (error) {
    if (!(error instanceof FacetError)) throw error;
    expect(["bundle_invalid", "file_invalid", "unsafe_format"]).toContain(error.code);
    expect(error.message.length).toBeGreaterThan(20);
    return "refused";
  }
}

const rounds = 40;

describe("damaged files", () => {
  it.each(readdirSync(fixtures))("of %s are refused or read", async (name) => {
    const at = path.join(folder, name);
    await cp(path.join(fixtures, name), at, { recursive: true });
    const files = await filesUnder(at);
    const next = createRandom(name.length * 1_000 + (name.codePointAt(name.length - 1) ?? 0));
    const outcomes = { read: 0, refused: 0 };
    for (let round = 0; round < rounds; round++) {
      const file = path.join(at, files[Math.floor(next() * files.length)] as string);
      const whole = await readFile(file);
      const broken = damaged(whole, next);
      await writeFile(file, broken);
      try {
        outcomes[await use(at)]++;
      } catch (error) {
        throw new Error(`${path.relative(folder, file)} in round ${round}: ${(error as Error).stack}`, { cause: error });
      }
      expect(await readFile(file)).toEqual(broken);
      await writeFile(file, whole);
    }
    expect(outcomes.refused).toBeGreaterThan(rounds / 4);
    // Nothing is left behind beside the files that were given.
    expect(await filesUnder(at)).toEqual(files);
  });
});
