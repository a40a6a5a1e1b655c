"use client";
import { useEffect, useRef } from "react";

/** The picture as the model is given it: squashed to its size. */
export function SeenPicture({ seen: { size, data } }: { seen: { size: number; data: Uint8Array } }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const pixels = context.createImageData(size, size);
    for (let i = 0; i < size * size; i++) {
      pixels.data.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
      pixels.data[4 * i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  }, [size, data]);
  return (
    <figure className="text-muted">
      <canvas
        ref={canvas}
        width={size}
        height={size}
        role="img"
        aria-label="The picture as the model sees it"
        className="size-16 rounded"
      />
      <figcaption className="num mt-1">
        {size} × {size} px seen
      </figcaption>
    </figure>
  );
}
