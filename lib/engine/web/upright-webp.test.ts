import { expect, it } from "vitest";
import { sharp } from "@/lib/sharp";
import { uprightWebp, webpOrientation } from "./upright-webp";

const plain = sharp({ create: { width: 31, height: 17, channels: 3, background: "#a04" } });

it("finds what a WebP's EXIF says of every turn, and nothing in other files", async () => {
  for (let orientation = 1; orientation <= 8; orientation++) {
    const bytes = new Uint8Array(await plain.clone().webp().withMetadata({ orientation }).toBuffer());
    const found = webpOrientation(bytes);
    expect(found?.orientation).toBe(orientation);
    // Where it lies is known: written over, it says another.
    if (found) new DataView(bytes.buffer).setUint16(found.at, 1, found.little);
    expect((await sharp(bytes).metadata()).orientation).toBe(1);
  }
  const others = [
    await plain.clone().webp().toBuffer(),
    await plain.clone().jpeg().withMetadata({ orientation: 6 }).toBuffer(),
    Buffer.from("RIFF"),
  ];
  for (const bytes of others) expect(webpOrientation(bytes)).toBeNull();
  const whole = await plain.clone().webp().withMetadata({ orientation: 6 }).toBuffer();
  for (let length = 0; length < whole.length; length += 7) expect(() => webpOrientation(whole.subarray(0, length))).not.toThrow();
});

it("leaves alone what needs no turning", async () => {
  const upright = await plain.clone().webp().withMetadata({ orientation: 1 }).toBuffer();
  for (const bytes of [upright, Buffer.from("no picture")]) expect(await uprightWebp(new Blob([new Uint8Array(bytes)]))).toBeNull();
});
