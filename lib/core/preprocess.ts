/**
 * Pictures → pixel values, equal bit for bit to Pillow's antialiased bilinear `resize` on 8-bit RGB: two separable passes with
 * coefficients in fixed point, rounded to 8 bits after each pass.
 */

export interface RgbImage {
  width: number;
  height: number;
  /** Row-major RGB, 3 bytes a pixel. */
  data: Uint8Array;
}

export interface PixelStatistics {
  mean: readonly number[];
  std: readonly number[];
}

/** Pillow keeps 8 bits for the value and 2 for overshoot of a 32-bit accumulator. */
const precisionBits = 32 - 8 - 2;

interface Taps {
  /** Most source pixels that one output pixel reads. */
  size: number;
  /** For each output pixel: first source pixel and how many. */
  first: Int32Array;
  count: Int32Array;
  /** Fixed-point weights, `size` an output pixel. */
  weights: Int32Array;
}

function bilinearTaps(input: number, output: number): Taps {
  const scale = input / output;
  const support = Math.max(scale, 1);
  const size = Math.ceil(support) * 2 + 1;
  const taps: Taps = { size, first: new Int32Array(output), count: new Int32Array(output), weights: new Int32Array(output * size) };
  const exact = new Float64Array(size);
  for (let x = 0; x < output; x++) {
    const centre = (x + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const count = Math.min(Math.trunc(centre + support + 0.5), input) - first;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const distance = Math.abs((i + first - centre + 0.5) * (1 / support));
      exact[i] = distance < 1 ? 1 - distance : 0;
      total += exact[i] as number;
    }
    for (let i = 0; i < count; i++) {
      const weight = total === 0 ? (exact[i] as number) : (exact[i] as number) / total;
      taps.weights[x * size + i] = Math.trunc(0.5 + weight * (1 << precisionBits));
    }
    taps.first[x] = first;
    taps.count[x] = count;
  }
  return taps;
}

/** One pass along an axis: `stride` bytes between neighbours along it, `lines` starts of lines across it. */
function resample(source: Uint8Array, target: Uint8Array, taps: Taps, lines: number, from: AxisSteps, to: AxisSteps): void {
  const output = taps.first.length;
  for (let line = 0; line < lines; line++) {
    for (let x = 0; x < output; x++) {
      const count = taps.count[x] as number;
      const start = line * from.line + (taps.first[x] as number) * from.pixel;
      const weights = x * taps.size;
      for (let channel = 0; channel < 3; channel++) {
        let sum = 1 << (precisionBits - 1);
        for (let i = 0; i < count; i++) sum += (source[start + i * from.pixel + channel] as number) * (taps.weights[weights + i] as number);
        target[line * to.line + x * to.pixel + channel] = Math.min(sum >> precisionBits, 255);
      }
    }
  }
}

interface AxisSteps {
  /** Bytes from one line to the next. */
  line: number;
  /** Bytes from one pixel of a line to the next. */
  pixel: number;
}

/** `Image.resize((width, height), Resampling.BILINEAR)` of an RGB image, as Pillow 13 does it. */
export function resizeBilinear(image: RgbImage, width: number, height: number): RgbImage {
  // Pillow since 13 starts with the columns where height shrinks much more than width; earlier versions always start with the rows.
  const columnsFirst = image.height > height && image.height - height > 2 * (image.width - width);
  const passes = columnsFirst ? [alongColumns, alongRows] : [alongRows, alongColumns];
  return passes.reduce((result, pass) => pass(result, pass === alongRows ? width : height), image);
}

function alongRows(image: RgbImage, width: number): RgbImage {
  if (image.width === width) return image;
  const data = new Uint8Array(width * image.height * 3);
  const taps = bilinearTaps(image.width, width);
  resample(image.data, data, taps, image.height, { line: image.width * 3, pixel: 3 }, { line: width * 3, pixel: 3 });
  return { ...image, width, data };
}

function alongColumns(image: RgbImage, height: number): RgbImage {
  if (image.height === height) return image;
  const data = new Uint8Array(image.width * height * 3);
  const steps = { line: 3, pixel: image.width * 3 };
  resample(image.data, data, bilinearTaps(image.height, height), image.width, steps, steps);
  return { ...image, height, data };
}

/** uint8 RGB → (x/255 − mean)/std as float32, channels first: [3, height, width]. */
export function normalise(image: RgbImage, { mean, std }: PixelStatistics): Float32Array {
  const area = image.width * image.height;
  const values = new Float32Array(3 * area);
  for (let channel = 0; channel < 3; channel++) {
    const table = new Float32Array(256);
    const centre = Math.fround(mean[channel] as number);
    const spread = Math.fround(std[channel] as number);
    for (let level = 0; level < 256; level++) {
      table[level] = Math.fround(Math.fround(Math.fround(level * (1 / 255)) - centre) / spread);
    }
    for (let i = 0; i < area; i++) values[channel * area + i] = table[image.data[3 * i + channel] as number] as number;
  }
  return values;
}

/** A picture as the vision tower takes it: squashed to `size` × `size`, normalised, [3, size, size]. */
export function pixelValues(image: RgbImage, size: number, statistics: PixelStatistics): Float32Array {
  return normalise(resizeBilinear(image, size, size), statistics);
}
