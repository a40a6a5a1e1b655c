/** A picture's width and height from its file's head, before anything is unpacked: a small file may hold more pixels than a tab has memory for. */

export interface PictureSize {
  width: number;
  height: number;
}

/** The frame's header of a JPEG (SOF), found by walking the segments before it. */
function jpegSize(view: DataView): PictureSize | null {
  for (let at = 2; at + 9 < view.byteLength; ) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) at++;
    // SOF0 to SOF15, without the tables that lie between them (DHT, JPG, DAC).
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    } else at += 2 + view.getUint16(at + 2);
  }
  return null;
}

function webpSize(view: DataView, chunk: string): PictureSize | null {
  if (chunk === "VP8X") {
    const at24 = (at: number) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16) + 1;
    return { width: at24(24), height: at24(27) };
  }
  if (chunk === "VP8 ") return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  if (chunk !== "VP8L") return null;
  const bits = view.getUint32(21, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

/** As stored, not yet turned; null where the head is cut off or none that is known. Of a PNG, JPEG, WebP or GIF. */
export function pictureSize(bytes: Uint8Array): PictureSize | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ascii = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  try {
    if (ascii(1, 4) === "PNG") return { width: view.getUint32(16), height: view.getUint32(20) };
    if (ascii(0, 4) === "GIF8") return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
    if (ascii(0, 4) === "RIFF") return webpSize(view, ascii(12, 16));
    return bytes[0] === 0xff && bytes[1] === 0xd8 ? jpegSize(view) : null;
  } catch {
    // Shorter than a head.
    return null;
  }
}
