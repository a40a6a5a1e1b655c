import { afterEach, expect, it, vi } from "vitest";
import { decodeInTab } from "./decode-web";

afterEach(() => vi.unstubAllGlobals());

const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** A browser whose decoder answers as `decode` does, and whose canvas has one pixel. */
function browser(decode: (options: ImageBitmapOptions | undefined) => object) {
  const asked: (ImageBitmapOptions | undefined)[] = [];
  vi.stubGlobal("createImageBitmap", async (_: Blob, options?: ImageBitmapOptions) => {
    asked.push(options);
    return decode(options);
  });
  vi.stubGlobal(
    "OffscreenCanvas",
    class {
      getContext = () => ({ fillRect() {}, drawImage() {}, getImageData: () => ({ data: Uint8ClampedArray.of(1, 2, 3, 255) }) });
    },
  );
  return asked;
}
const bitmap = (width = 1, height = 1) => ({ width, height, close() {} });

it("asks for an upright picture, also of a browser that knows no word for it", async () => {
  const asked = browser((options) => {
    if (options?.imageOrientation) throw new TypeError("'from-image' is no value of enumeration ImageOrientation");
    return bitmap();
  });
  expect(await decodeInTab(png)).toEqual({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3) });
  expect(asked).toEqual([{ imageOrientation: "from-image", colorSpaceConversion: "none" }, undefined]);
});

it("refuses in sentences what it cannot read, what is no picture, and what is too large whatever its head says", async () => {
  const asked = browser(() => {
    throw new DOMException("The source image could not be decoded.", "InvalidStateError");
  });
  await expect(decodeInTab(png)).rejects.toMatchObject({ code: "unreadable_image" });
  expect(asked).toHaveLength(1);
  await expect(decodeInTab(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: "unsupported_image" });
  browser(() => bitmap(10_000, 6_000));
  await expect(decodeInTab(png)).rejects.toMatchObject({
    code: "too_large",
    message: "The picture has 10000 × 6000 pixels; at most 50 million are read.",
  });
});
