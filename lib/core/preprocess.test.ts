import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import fixture from "./fixtures/preprocess.json";
import { pixelValues, pixelValuesInTurns, type RgbImage, resizeBilinear } from "./preprocess";

/** The picture that fixtures/make_preprocess.py draws. */
function draw(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const edges = ((Math.floor(x / 8) + Math.floor(y / 8)) % 2) * 128;
      for (let c = 0; c < 3; c++) data[(y * width + x) * 3 + c] = (x * 73 + y * 151 + c * 199 + ((x * y) % 251) + edges) % 256;
    }
  }
  return { width, height, data };
}

describe("resizeBilinear", () => {
  it.each(fixture.resized)(
    "equals Pillow: $width × $height → $toWidth × $toHeight",
    ({ width, height, toWidth, toHeight, sha256, data }) => {
      const resized = resizeBilinear(draw(width, height), toWidth, toHeight);
      if (data) expect([...resized.data]).toEqual([...Buffer.from(data, "base64")]);
      expect(createHash("sha256").update(resized.data).digest("hex")).toBe(sha256);
    },
  );
});

describe("pixelValues", () => {
  it.each(fixture.normalised)("equals the Hugging Face processor with mean $mean", ({ width, height, size, mean, std, values }) => {
    const bytes = Buffer.from(values, "base64");
    const expected = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    expect(pixelValues(draw(width, height), size, { mean, std })).toEqual(expected);
  });
});

describe("pixelValuesInTurns", () => {
  const statistics = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] };

  // Wide, and so tall that the columns come first.
  it.each([
    [4_000, 1_500],
    [700, 8_000],
  ])("gives the same of %i × %i, and lets others have their turn meanwhile", async (width, height) => {
    const image = draw(width, height);
    let turns = 0;
    const others = setInterval(() => turns++, 0);
    const values = await pixelValuesInTurns(image, 96, statistics);
    clearInterval(others);
    expect(turns).toBeGreaterThan(3);
    expect(values).toEqual(pixelValues(image, 96, statistics));
  });
});
