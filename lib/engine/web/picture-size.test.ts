import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { env } from "@/lib/env";
import { sharp } from "@/lib/sharp";
import { pictureSize } from "./picture-size";

it("reads the size that the decoder finds, in every way in which pictures are stored", async () => {
  const folder = path.join(env.root, "e2e", "fixtures", "pictures");
  const files = readdirSync(folder).map((name): [string, Buffer] => [name, readFileSync(path.join(folder, name))]);
  const plain = sharp({ create: { width: 301, height: 17, channels: 4, background: { r: 9, g: 120, b: 33, alpha: 0.5 } } });
  files.push(["lossy.webp", await plain.clone().flatten().webp({ quality: 60 }).toBuffer()]);
  files.push(["lossless.webp", await plain.clone().webp({ lossless: true }).toBuffer()]);
  files.push(["extended.webp", await plain.clone().webp({ quality: 60 }).withMetadata({ density: 90 }).toBuffer()]);
  files.push(["progressive.jpg", await plain.clone().flatten().jpeg({ progressive: true }).withMetadata({ orientation: 6 }).toBuffer()]);
  expect(files.length).toBeGreaterThan(20);
  for (const [name, bytes] of files) {
    const { width, height } = await sharp(bytes).metadata();
    expect(pictureSize(bytes), name).toEqual({ width, height });
  }
});

it("knows no size of what is cut off or none of these", () => {
  for (const bytes of [[], [0xff, 0xd8, 0xff, 1, 2, 3], [0x89, 0x50, 0x4e, 0x47, 1], [0x47, 0x49, 0x46, 0x38], [1, 2, 3, 4]]) {
    expect(pictureSize(Uint8Array.from(bytes))).toBeNull();
  }
});
