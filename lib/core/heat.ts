/**
 * Activations as colour. Values are interpolated first and looked up in a 256-entry table after: interpolating colours instead would
 * show hues that belong to no value between. Everything here is arithmetic over arrays; the canvas lives elsewhere.
 */

export type Theme = "light" | "dark";
/** 256 × RGBA bytes, straight alpha. Entry 0 is fully transparent. */
export type Ramp = Uint8ClampedArray<ArrayBuffer>;

/** A colour in OKLCH: lightness 0..1, chroma, hue in degrees. */
type Lch = readonly [lightness: number, chroma: number, hue: number];

/** Lightness runs evenly from one end to the other, so that equal steps of value look equal; on light surfaces it falls instead of rising. */
const heatStops: Record<Theme, readonly Lch[]> = {
  dark: [
    [0.28, 0.13, 300],
    [0.445, 0.19, 345],
    [0.61, 0.21, 25],
    [0.775, 0.17, 62],
    [0.94, 0.15, 103],
  ],
  light: [
    [0.93, 0.1, 100],
    [0.785, 0.16, 65],
    [0.64, 0.21, 32],
    [0.495, 0.21, 5],
    [0.35, 0.17, 325],
  ],
};

/** Orange below zero, blue above: apart for every common kind of colour blindness. Lightness mirrors around the centre. */
const divergingStops: Record<Theme, readonly Lch[]> = {
  dark: [
    [0.78, 0.16, 55],
    [0.55, 0.15, 48],
    [0.35, 0.0, 50],
    [0.55, 0.13, 235],
    [0.78, 0.12, 225],
  ],
  light: [
    [0.47, 0.15, 45],
    [0.7, 0.15, 55],
    [0.95, 0.0, 50],
    [0.68, 0.12, 230],
    [0.45, 0.12, 240],
  ],
};

/** Transparent at zero, then quickly enough that a tenth of the maximum is seen; never quite opaque, the picture stays the subject. */
const heatAlpha = (t: number) => 0.88 * t ** 0.65;
const divergingAlpha = (t: number) => 0.94 * Math.abs(2 * t - 1) ** 0.6;

const made = new Map<string, Ramp>();

/** Sequential ramp for values from 0 to a maximum. */
export function heatRamp(theme: Theme): Ramp {
  return once(`heat-${theme}`, () => makeRamp(heatStops[theme], heatAlpha));
}

/** Ramp for values from −maximum (entry 0) over zero (between 127 and 128) to maximum (entry 255). */
export function divergingRamp(theme: Theme): Ramp {
  return once(`diverging-${theme}`, () => makeRamp(divergingStops[theme], divergingAlpha));
}

function once(key: string, make: () => Ramp): Ramp {
  const known = made.get(key);
  if (known) return known;
  const ramp = make();
  made.set(key, ramp);
  return ramp;
}

function makeRamp(stops: readonly Lch[], alpha: (t: number) => number): Ramp {
  const ramp = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    const t = i / 255;
    ramp.set([...toSrgb(between(stops, t)), Math.round(255 * alpha(t))], 4 * i);
  }
  return ramp;
}

function between(stops: readonly Lch[], t: number): Lch {
  const at = Math.min(t * (stops.length - 1), stops.length - 1 - 1e-9);
  const low = stops[Math.floor(at)] as Lch;
  const high = stops[Math.floor(at) + 1] as Lch;
  const share = at - Math.floor(at);
  // The shorter way around the hue circle.
  const turn = ((high[2] - low[2] + 540) % 360) - 180;
  return [low[0] + share * (high[0] - low[0]), low[1] + share * (high[1] - low[1]), low[2] + share * turn];
}

/** OKLCH → sRGB bytes; chroma gives way where the colour cannot be shown, lightness and hue do not. */
function toSrgb([lightness, chroma, hue]: Lch): [number, number, number] {
  for (let c = chroma; ; c -= 0.004) {
    const rgb = linearSrgb(lightness, Math.max(0, c), hue);
    if (c <= 0 || rgb.every((x) => x >= -0.0005 && x <= 1.0005)) return rgb.map(gammaByte) as [number, number, number];
  }
}

function linearSrgb(lightness: number, chroma: number, hue: number): [number, number, number] {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function gammaByte(linear: number): number {
  const x = Math.min(1, Math.max(0, linear));
  return Math.round(255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055));
}

/** Position on the sequential ramp, 0..255. `max` ≤ 0 shows nothing. */
export function heatEntry(value: number, max: number): number {
  if (!(max > 0) || !(value > 0)) return 0;
  return value >= max ? 255 : Math.round((255 * value) / max);
}

/** Position on the diverging ramp, 0..255; zero is the transparent middle. */
export function divergingEntry(value: number, max: number): number {
  if (!(max > 0) || Number.isNaN(value)) return 128;
  return Math.round(127.5 + 127.5 * Math.min(1, Math.max(-1, value / max)));
}

/** One colour of a ramp as CSS, e.g. for the background of a token. */
export function rampColour(ramp: Ramp, entry: number, opacity = 1): string {
  const [r, g, b, a] = ramp.subarray(4 * entry, 4 * entry + 4) as unknown as [number, number, number, number];
  return `rgb(${r} ${g} ${b} / ${((opacity * a) / 255).toFixed(3)})`;
}

/** A ramp as a CSS gradient from left to right. */
export function rampGradient(ramp: Ramp, { opaque = false, steps = 16 } = {}): string {
  const colours = Array.from({ length: steps + 1 }, (_, i) => {
    const entry = Math.round((255 * i) / steps);
    return opaque ? `rgb(${ramp[4 * entry]} ${ramp[4 * entry + 1]} ${ramp[4 * entry + 2]})` : rampColour(ramp, entry);
  });
  return `linear-gradient(to right, ${colours.join(", ")})`;
}

/**
 * Bilinear interpolation of values, `rows × cols` → `height × width` (both row-major). Values sit at the centres of their cells; beyond
 * the outermost centres the outermost value holds.
 */
export function interpolate(values: Float32Array, rows: number, cols: number, height: number, width: number): Float32Array {
  const out = new Float32Array(height * width);
  const left = new Uint32Array(width);
  const right = new Uint32Array(width);
  const share = new Float32Array(width);
  for (let x = 0; x < width; x++) {
    const at = Math.min(cols - 1, Math.max(0, ((x + 0.5) * cols) / width - 0.5));
    const low = Math.floor(at);
    left[x] = low;
    right[x] = Math.min(cols - 1, low + 1);
    share[x] = at - low;
  }
  for (let y = 0; y < height; y++) {
    const at = Math.min(rows - 1, Math.max(0, ((y + 0.5) * rows) / height - 0.5));
    const top = Math.floor(at) * cols;
    const bottom = Math.min(rows - 1, Math.floor(at) + 1) * cols;
    const down = at - Math.floor(at);
    for (let x = 0; x < width; x++) {
      const l = left[x] as number;
      const r = right[x] as number;
      const s = share[x] as number;
      const a = (values[top + l] as number) * (1 - s) + (values[top + r] as number) * s;
      const b = (values[bottom + l] as number) * (1 - s) + (values[bottom + r] as number) * s;
      out[y * width + x] = a * (1 - down) + b * down;
    }
  }
  return out;
}

/** Looks every value up in the ramp. `out` has four bytes a value. */
export function paint(values: Float32Array, max: number, ramp: Ramp, out: Uint8ClampedArray, scale: "heat" | "diverging" = "heat"): void {
  const entry = scale === "heat" ? heatEntry : divergingEntry;
  // One 32-bit write a pixel; the byte order is the table's own.
  const table = new Uint32Array(ramp.buffer, ramp.byteOffset, 256);
  const pixels = new Uint32Array(out.buffer, out.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) pixels[i] = table[entry(values[i] as number, max)] as number;
}

/** The row-major cell under a point given as shares 0..1 of the picture's width and height, or null outside. */
export function cellAt(x: number, y: number, rows: number, cols: number): number | null {
  if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1)) return null;
  return Math.min(rows - 1, Math.floor(y * rows)) * cols + Math.min(cols - 1, Math.floor(x * cols));
}

/** Largest of the values, at least 0. */
export function maximum(values: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) max = Math.max(max, values[i] as number);
  return max;
}
