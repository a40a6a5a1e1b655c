import { describe, expect, it } from "vitest";
import { sniffImage } from "@/lib/formats/images/picture";
import { sharp } from "@/lib/sharp";
import { dataUrlBytes, decodeImage } from "./decode-image";

/** 2 wide, 1 high: red, then blue. */
const pair = sharp(Buffer.from([255, 0, 0, 0, 0, 255]), { raw: { width: 2, height: 1, channels: 3 } });
const noise = (side: number) =>
  sharp(
    Buffer.from({ length: side * side * 3 } as ArrayLike<number>).map((_, i) => (i * 7919) % 256),
    { raw: { width: side, height: side, channels: 3 } },
  );

describe("decodeImage", () => {
  it("reads PNG, WebP and GIF pixel for pixel", async () => {
    for (const bytes of [await pair.png().toBuffer(), await pair.webp({ lossless: true }).toBuffer(), await pair.gif().toBuffer()]) {
      expect(await decodeImage(bytes)).toMatchObject({ width: 2, height: 1, data: Uint8Array.from([255, 0, 0, 0, 0, 255]) });
    }
  });

  it("turns a picture as its EXIF says", async () => {
    const bytes = await pair.jpeg({ quality: 100, chromaSubsampling: "4:4:4" }).withMetadata({ orientation: 6 }).toBuffer();
    expect(await decodeImage(bytes)).toMatchObject({ width: 1, height: 2 });
  });

  it("lays transparency on white, and makes grey and 16-bit pictures RGB", async () => {
    const clear = sharp({ create: { width: 1, height: 1, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } });
    expect((await decodeImage(await clear.png().toBuffer())).data).toEqual(Uint8Array.from([255, 255, 255]));
    const grey = sharp(Buffer.from([7]), { raw: { width: 1, height: 1, channels: 1 } });
    expect((await decodeImage(await grey.toColourspace("b-w").png().toBuffer())).data).toEqual(Uint8Array.from([7, 7, 7]));
    const deep = await pair.toColourspace("rgb16").png().toBuffer();
    expect((await decodeImage(deep)).data).toHaveLength(6);
  });

  it("refuses formats that it does not read, by name", async () => {
    const svg = new TextEncoder().encode('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>');
    await expect(decodeImage(svg)).rejects.toMatchObject({ code: "unsupported_image", message: expect.stringContaining("SVG") });
    const heic = Uint8Array.from([0, 0, 0, 24, ...new TextEncoder().encode("ftypheic"), 0, 0, 0, 0]);
    await expect(decodeImage(heic)).rejects.toMatchObject({ code: "unsupported_image", message: expect.stringContaining("HEIC") });
  });

  it("refuses what is cut short or no picture", async () => {
    const png = await noise(64).png().toBuffer();
    const jpeg = await noise(64).jpeg().toBuffer();
    for (const bytes of [png.subarray(0, png.length / 2), jpeg.subarray(0, jpeg.length / 2), new Uint8Array(0), Buffer.from("hello")]) {
      await expect(decodeImage(bytes)).rejects.toMatchObject({ code: "unreadable_image" });
    }
  });

  it("refuses a small file of very many pixels before unpacking it", async () => {
    const bytes = await pair.jpeg().toBuffer();
    const frame = bytes.indexOf(Buffer.from([0xff, 0xc0]));
    bytes.writeUInt16BE(60_000, frame + 5);
    bytes.writeUInt16BE(60_000, frame + 7);
    await expect(decodeImage(bytes)).rejects.toMatchObject({ code: "too_large" });
  });
});

describe("dataUrlBytes", () => {
  it("gives the bytes, or says what is wrong", () => {
    expect(sniffImage(dataUrlBytes(`data:image/gif;base64,${Buffer.from("GIF89a").toString("base64")}`))).toBe("GIF");
    expect(() => dataUrlBytes("data:image/png;base64,")).toThrow(expect.objectContaining({ code: "unreadable_image" }));
    expect(() => dataUrlBytes("data:image/svg+xml,<svg/>")).toThrow(expect.objectContaining({ code: "unreadable_image" }));
    const large = `data:image/png;base64,${Buffer.alloc(12 * 1024 * 1024 + 1).toString("base64")}`;
    expect(() => dataUrlBytes(large)).toThrow(expect.objectContaining({ code: "too_large" }));
  });
});
