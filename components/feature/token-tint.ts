/** Colours of a token tinted by its activation: the picture's ramp over the page, with ink that stays readable. Pure. */
import { divergingEntry, divergingRamp, heatEntry, heatRamp, type Ramp, rampColour, type Theme } from "@/lib/core/heat";

/** The page's surface in each theme (globals.css), over which the tint lies. */
const surfaces: Record<Theme, readonly [number, number, number]> = { light: [0xfb, 0xfb, 0xfa], dark: [0x13, 0x14, 0x16] };

export interface Tint {
  background: string;
  ink: string;
}

/** null where the token is not active. `max` is the value at the end of the ramp. */
export function tokenTint(value: number, max: number, theme: Theme): Tint | null {
  const entry = heatEntry(value, max);
  if (!(value > 0) || entry === 0) return null;
  return tint(heatRamp(theme), entry, theme);
}

/** The same of a value on either side of zero: null at zero. `max` is the size at both ends of the ramp. */
export function divergingTint(value: number, max: number, theme: Theme): Tint | null {
  const entry = divergingEntry(value, max);
  if (!(Math.abs(value) > 0) || entry === 127 || entry === 128) return null;
  return tint(divergingRamp(theme), entry, theme);
}

function tint(ramp: Ramp, entry: number, theme: Theme): Tint {
  const luminance = relativeLuminance(blend(ramp, entry, surfaces[theme]));
  return { background: rampColour(ramp, entry), ink: luminance > 0.179 ? "#000" : "#fff" };
}

function blend(ramp: Uint8ClampedArray, entry: number, under: readonly [number, number, number]): [number, number, number] {
  const alpha = (ramp[4 * entry + 3] ?? 0) / 255;
  const channel = (i: 0 | 1 | 2) => alpha * (ramp[4 * entry + i] ?? 0) + (1 - alpha) * under[i];
  return [channel(0), channel(1), channel(2)];
}

/** WCAG's, from sRGB bytes. */
export function relativeLuminance([r, g, b]: readonly [number, number, number]): number {
  const linear = (byte: number) => (byte <= 10.31 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}
