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
/** Added before bits are cut off, so that they are rounded. */
const half = 1 << (precisionBits - 1);

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

/**
 * Multiplications after which a step ends: some milliseconds of work. Between the steps of a large picture whoever runs them can do other work.
 */
const stepSize = 1 << 21;

type Steps<T> = Generator<void, T, void>;

/** `Image.resize((width, height), Resampling.BILINEAR)` of an RGB image, as Pillow 13 does it. */
export function resizeBilinear(image: RgbImage, width: number, height: number): RgbImage {
  const steps = resizeSteps(image, width, height);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function* resizeSteps(image: RgbImage, width: number, height: number): Steps<RgbImage> {
  // Pillow since 13 starts with the columns where height shrinks much more than width; earlier versions always start with the rows.
  const columnsFirst = image.height > height && image.height - height > 2 * (image.width - width);
  if (columnsFirst) return yield* alongRows(yield* alongColumns(image, height), width);
  return yield* alongColumns(yield* alongRows(image, width), height);
}

function* alongRows(image: RgbImage, width: number): Steps<RgbImage> {
  if (image.width === width) return image;
  const { data: source, height } = image;
  const { size, first, count, weights } = bilinearTaps(image.width, width);
  const data = new Uint8Array(width * height * 3);
  let work = 0;
  let target = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let from = (y * image.width + (first[x] as number)) * 3;
      let [red, green, blue] = [half, half, half];
      const start = x * size;
      const end = start + (count[x] as number);
      for (let i = start; i < end; i++) {
        const weight = weights[i] as number;
        red += (source[from++] as number) * weight;
        green += (source[from++] as number) * weight;
        blue += (source[from++] as number) * weight;
      }
      data[target++] = Math.min(red >> precisionBits, 255);
      data[target++] = Math.min(green >> precisionBits, 255);
      data[target++] = Math.min(blue >> precisionBits, 255);
      work += 3 * (end - start);
    }
    if (work >= stepSize) {
      yield;
      work = 0;
    }
  }
  return { width, height, data };
}

function* alongColumns(image: RgbImage, height: number): Steps<RgbImage> {
  if (image.height === height) return image;
  const stride = image.width * 3;
  const { size, first, count, weights } = bilinearTaps(image.height, height);
  const data = new Uint8Array(stride * height);
  // Row by row of the source, in the order in which it lies in memory.
  const sums = new Int32Array(stride);
  let work = 0;
  for (let y = 0; y < height; y++) {
    sums.fill(half);
    for (let i = 0; i < (count[y] as number); i++) {
      const weight = weights[y * size + i] as number;
      const from = ((first[y] as number) + i) * stride;
      for (let x = 0; x < stride; x++) sums[x] = (sums[x] as number) + (image.data[from + x] as number) * weight;
      work += stride;
      if (work >= stepSize) {
        yield;
        work = 0;
      }
    }
    for (let x = 0; x < stride; x++) data[y * stride + x] = Math.min((sums[x] as number) >> precisionBits, 255);
  }
  return { width: image.width, height, data };
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

/** The same, with a turn for others every few milliseconds: 50 megapixels take most of a second. */
export async function pixelValuesInTurns(image: RgbImage, size: number, statistics: PixelStatistics): Promise<Float32Array> {
  const steps = resizeSteps(image, size, size);
  for (;;) {
    const step = steps.next();
    if (step.done) return normalise(step.value, statistics);
    await new Promise((resolve) => setTimeout(resolve));
  }
}
