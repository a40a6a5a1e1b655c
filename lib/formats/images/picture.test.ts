import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { resizeBilinear } from "@/lib/core/preprocess";
import { env } from "@/lib/env";
import { sharp } from "@/lib/sharp";
import { decodePicture, storePicture } from "./picture";

const raw = (width: number, height: number, channels: 1 | 3 | 4, data: number[]) =>
  sharp(Buffer.from(data), { raw: { width, height, channels } });
/** 2 wide, 1 high: red, then blue. */
const pair = () => raw(2, 1, 3, [255, 0, 0, 0, 0, 255]);
/** Halves of colour large enough to survive JPEG: red above, blue below. */
const halves = (width: number, height: number) =>
  raw(width, height, 3, Array.from({ length: width * height }, (_, i) => (i < (width * height) / 2 ? [255, 0, 0] : [0, 0, 255])).flat());
const noise = (side: number) =>
  raw(
    side,
    side,
    3,
    Array.from({ length: side * side * 3 }, (_, i) => (i * 7919) % 256),
  );
const pixel = ({ data, width }: { data: Uint8Array; width: number }, x: number, y: number) => [
  ...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
];
const near = (got: number[], wanted: number[], by = 12) => got.every((value, i) => Math.abs(value - (wanted[i] as number)) <= by);

/** What is stored, decoded again without any correction: what every viewer shows. */
async function shown(bytes: Uint8Array) {
  const stored = await storePicture(bytes);
  const { data, info } = await sharp(stored.bytes).raw().toBuffer({ resolveWithObject: true });
  const metadata = await sharp(stored.bytes).metadata();
  return { stored, metadata, channels: info.channels, data, width: info.width, height: info.height };
}

it("reads every way in which pictures are stored within 1/255 of the Python processor", async () => {
  const folder = path.join(env.root, "e2e", "fixtures", "pictures");
  const files = (await readdir(folder)).filter((name) => !name.endsWith(".seen.png"));
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) {
    const found = resizeBilinear(await decodePicture(await readFile(path.join(folder, file))), 96, 96).data;
    const wanted = await sharp(path.join(folder, `${file}.seen.png`))
      .removeAlpha()
      .toColourspace("srgb")
      .raw()
      .toBuffer();
    const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - (wanted[i] as number))), 0);
    expect(worst, `${file}: the pixel that is farthest off, of 255`).toBeLessThanOrEqual(1);
  }
});

describe("a picture is stored as the model saw it", () => {
  it("turned upright for every EXIF orientation, so that a heatmap's rows are the viewer's rows", async () => {
    const [W, H] = [32, 48];
    const colours = [
      [255, 0, 0],
      [0, 0, 255],
      [255, 255, 255],
      [0, 0, 0],
    ];
    const corner = (x: number, y: number) => colours[(y < H / 2 ? 0 : 2) + (x < W / 2 ? 0 : 1)] as number[];
    /** Which pixel of the upright picture lies at (x, y) of the file. */
    const upright: Record<number, (x: number, y: number) => [number, number]> = {
      1: (x, y) => [x, y],
      2: (x, y) => [W - 1 - x, y],
      3: (x, y) => [W - 1 - x, H - 1 - y],
      4: (x, y) => [x, H - 1 - y],
      5: (x, y) => [y, x],
      6: (x, y) => [W - 1 - y, x],
      7: (x, y) => [W - 1 - y, H - 1 - x],
      8: (x, y) => [y, H - 1 - x],
    };
    for (let orientation = 1; orientation <= 8; orientation++) {
      const [width, height] = orientation < 5 ? [W, H] : [H, W];
      const from = upright[orientation] as (x: number, y: number) => [number, number];
      const data = Array.from({ length: width * height }, (_, i) => corner(...from(i % width, Math.floor(i / width)))).flat();
      const file = await raw(width, height, 3, data)
        .jpeg({ quality: 100, chromaSubsampling: "4:4:4" })
        .withMetadata({ orientation })
        .toBuffer();
      const seen = await decodePicture(file);
      const { stored, metadata, ...plain } = await shown(file);
      for (const picture of [seen, plain]) {
        expect([picture.width, picture.height], `orientation ${orientation}`).toEqual([W, H]);
        for (const [x, y] of [
          [4, 4],
          [28, 4],
          [4, 44],
          [28, 44],
        ] as const) {
          expect(near(pixel(picture, x, y), corner(x, y)), `orientation ${orientation} at ${x}, ${y}`).toBe(true);
        }
      }
      expect([stored.width, stored.height]).toEqual([W, H]);
      expect(metadata.orientation ?? 1).toBe(1);
      expect(stored.changes).toEqual(orientation === 1 ? [] : ["turned as its EXIF says"]);
    }
  });

  it("keeps the bytes of a plain PNG, JPEG and WebP", async () => {
    for (const bytes of [
      await pair().png().toBuffer(),
      await halves(16, 16).jpeg().toBuffer(),
      await pair().webp({ lossless: true }).toBuffer(),
    ]) {
      const stored = await storePicture(bytes);
      expect(Buffer.from(stored.bytes).equals(bytes)).toBe(true);
      expect(stored.changes).toEqual([]);
    }
  });

  it("makes CMYK, 16-bit, palette, grey and see-through pictures sRGB of 8 bits", async () => {
    const cmyk = await halves(16, 16).toColourspace("cmyk").jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(cmyk).metadata()).space).toBe("cmyk");
    const fromCmyk = await shown(cmyk);
    expect(fromCmyk.channels).toBe(3);
    expect(fromCmyk.stored.changes).toEqual(["from CMYK to sRGB"]);
    const [red = 0, green = 0, blue = 0] = pixel(fromCmyk, 8, 2);
    expect(red > 200 && green < 80 && blue < 80).toBe(true);

    const deep = await pair().toColourspace("rgb16").png().toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe("ushort");
    const fromDeep = await shown(deep);
    expect(fromDeep.metadata.depth).toBe("uchar");
    expect(pixel(fromDeep, 0, 0)).toEqual([255, 0, 0]);

    const palette = await halves(16, 16).png({ palette: true, colours: 4 }).toBuffer();
    const { data } = await decodePicture(palette);
    expect([...data.subarray(0, 3)]).toEqual([255, 0, 0]);
    expect((await storePicture(palette)).mime).toBe("image/png");

    const grey = await raw(1, 1, 1, [7]).toColourspace("b-w").png().toBuffer();
    expect((await decodePicture(grey)).data).toEqual(Uint8Array.from([7, 7, 7]));
    const deepGrey = await raw(1, 1, 1, [7]).toColourspace("grey16").png().toBuffer();
    expect((await decodePicture(deepGrey)).data).toEqual(Uint8Array.from([7, 7, 7]));

    const clear = await raw(2, 1, 4, [0, 0, 0, 0, 0, 0, 0, 128]).png().toBuffer();
    const flat = await shown(clear);
    expect(flat.metadata.hasAlpha).toBe(false);
    expect(pixel(flat, 0, 0)).toEqual([255, 255, 255]);
    expect(near(pixel(flat, 1, 0), [127, 127, 127], 2)).toBe(true);
    expect(flat.stored.changes).toEqual(["transparency laid on white"]);
  });

  it("takes the first frame of an animated GIF and WebP, and says so", async () => {
    const frames = [
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
    ].flatMap((colour) => Array.from({ length: 64 }, () => colour).flat());
    const strip = () => sharp(Buffer.from(frames), { raw: { width: 8, height: 24, channels: 3, pageHeight: 8 } });
    for (const bytes of [
      await strip()
        .gif({ delay: [50, 50, 50] })
        .toBuffer(),
      await strip()
        .webp({ lossless: true, delay: [50, 50, 50] })
        .toBuffer(),
    ]) {
      const { stored, metadata, ...plain } = await shown(bytes);
      expect([plain.width, plain.height]).toEqual([8, 8]);
      expect(near(pixel(plain, 4, 4), [255, 0, 0], 3)).toBe(true);
      expect(metadata.pages ?? 1).toBe(1);
      expect(stored.changes.join(", ")).toContain("the first of 3 frames");
    }
  });

  it("reads 1 × 1 and 1 × 4,000", async () => {
    expect(await decodePicture(await raw(1, 1, 3, [1, 2, 3]).png().toBuffer())).toMatchObject({ width: 1, height: 1 });
    const line = await raw(4_000, 1, 3, new Array(12_000).fill(9)).png().toBuffer();
    expect(await storePicture(line)).toMatchObject({ width: 4_000, height: 1 });
  });
});

describe("a picture is refused with a sentence", () => {
  it("when it is cut short, whatever it is", async () => {
    for (const bytes of [
      await noise(64).png().toBuffer(),
      await noise(64).jpeg().toBuffer(),
      await noise(64).webp().toBuffer(),
      await noise(64).gif().toBuffer(),
    ]) {
      const half = bytes.subarray(0, bytes.length / 2);
      await expect(storePicture(half)).rejects.toMatchObject({ code: "unreadable_image", message: expect.stringContaining("damaged") });
      await expect(decodePicture(half)).rejects.toMatchObject({ code: "unreadable_image" });
    }
  });

  it("when it is a renamed text, an SVG, or nothing", async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    await expect(storePicture(svg)).rejects.toMatchObject({ code: "unsupported_image", message: expect.stringContaining("SVG") });
    await expect(storePicture(Buffer.from("just a note\n"))).rejects.toMatchObject({ code: "unreadable_image" });
    await expect(storePicture(new Uint8Array(0))).rejects.toMatchObject({ message: "The file is empty." });
  });

  it("when it has too many pixels to be in memory at once, before any of them is unpacked", async () => {
    const before = process.memoryUsage.rss();
    const jpeg = await pair().jpeg({ progressive: true }).toBuffer();
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc2]));
    jpeg.writeUInt16BE(20_000, frame + 5);
    jpeg.writeUInt16BE(20_000, frame + 7);
    for (const [read, bytes] of [
      [decodePicture, jpeg],
      [storePicture, jpeg],
      [decodePicture, halvesPng(20_000, 20_000, 0)],
    ] as const) {
      await expect(read(bytes)).rejects.toMatchObject({
        code: "too_large",
        message: "The picture has 20000 × 20000 pixels; at most 50 million are read.",
      });
    }
    await expect(storePicture(halvesPng(40_000, 40_000, 0))).rejects.toMatchObject({ code: "too_large" });
    expect(process.memoryUsage.rss() - before).toBeLessThan(100e6);
  });
});

/** A PNG of 1 bit a pixel, black above and white below: small, however many pixels it has. `written`: rows that are there. */
function halvesPng(width: number, height: number, written = height): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    crc.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, crc]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const row = 1 + width / 8;
  const rows = Buffer.alloc(written * row);
  for (let y = height / 2; y < written; y++) rows.fill(255, y * row + 1, (y + 1) * row);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(rows, { level: 1 })), chunk("IEND", Buffer.alloc(0))]);
}

/** As PNG counts it. */
function crc32(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe("a picture of more pixels than are kept", () => {
  it("of 20,000 × 20,000 is shrunk while it is read, in the memory of some rows", async () => {
    const bytes = halvesPng(20_000, 20_000);
    const before = process.memoryUsage.rss();
    const { stored, data, width, height, channels } = await shown(bytes);
    expect([width, height, channels, stored.mime]).toEqual([4_096, 4_096, 3, "image/png"]);
    expect(stored.changes.at(-1)).toBe("shrunk from 20000 × 20000 pixels to 4096 × 4096");
    const picture = { data, width };
    expect([pixel(picture, 9, 2_000), pixel(picture, 9, 2_100)]).toEqual([
      [0, 0, 0],
      [255, 255, 255],
    ]);
    // 400 MB unpacked; what is kept, unpacked for this test, is 50 MB of it.
    expect(process.memoryUsage.rss() - before).toBeLessThan(250e6);
  }, 120_000);

  it("is turned as its EXIF says", async () => {
    const red = { create: { width: 8_000, height: 3_200, channels: 3 as const, background: "#f00" } };
    const file = await sharp(red).extend({ bottom: 3_200, background: "#00f" }).jpeg().withMetadata({ orientation: 6 }).toBuffer();
    const { stored, ...picture } = await shown(file);
    expect([picture.width, picture.height, stored.width, stored.height]).toEqual([3_277, 4_096, 3_277, 4_096]);
    expect(stored.changes).toEqual(["turned as its EXIF says", "shrunk from 6400 × 8000 pixels to 3277 × 4096"]);
    // What is above in the file is at the right of the viewer.
    expect(near(pixel(picture, 3_000, 100), [255, 0, 0])).toBe(true);
    expect(near(pixel(picture, 200, 100), [0, 0, 255])).toBe(true);
  }, 120_000);
});

it("stays with the truth whatever is cut off or flipped: pixels or a typed refusal", async () => {
  const files = [
    await noise(24).png().toBuffer(),
    await noise(24).jpeg().toBuffer(),
    await noise(24).webp().toBuffer(),
    await noise(24).gif().toBuffer(),
  ];
  let seed = 7;
  const next = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed % below;
  };
  for (let trial = 0; trial < 160; trial++) {
    const file = Buffer.from(files[trial % files.length] as Buffer);
    if (trial % 2) file[next(file.length)] = next(256);
    const bytes = trial % 3 ? file : file.subarray(0, next(file.length));
    await decodePicture(bytes).then(
      (image) => expect(image.data).toHaveLength(image.width * image.height * 3),
      (error: { code?: string }) => expect(["unreadable_image", "unsupported_image", "too_large"]).toContain(error.code),
    );
  }
});
