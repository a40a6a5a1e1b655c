/** From a token of the sandbox's answers to the page that explains it. */
import { type Arm, limits } from "@/lib/core/protocol";
import { activeClamps, encodeSteerLink, type LinkedClamp, maxLinkLength, type SteerLink } from "@/lib/core/steer-link";
import { traceHref } from "@/lib/core/trace-link";

/**
 * The clamp that changes a feature as much the other way. What "set" turned round leaves hangs on what was there, at each position anew: no clamp asks
 * for that.
 */
function turnedRound(clamp: LinkedClamp): LinkedClamp | null {
  const { op, value } = clamp;
  if (op === "set") return null;
  const turned = { ...clamp, ...(op === "add" ? { value: -value } : { op: "scale" as const, value: op === "ablate" ? 2 : 2 - value }) };
  return Math.abs(turned.value) <= limits.value ? turned : null;
}

/** The clamps under which an arm answers; null for an arm that no clamps alone make (another clamp drawn at random, the reconstruction). */
function clampsOf(link: SteerLink, arm: Arm): LinkedClamp[] | null {
  if (arm === "baseline") return [];
  if (arm === "steered") return activeClamps(link.clamps);
  if (arm === "negated") {
    // A reconstruction has as many features as before, so that one more displaces another: that has no other way.
    if (link.mode === "reconstruct") return null;
    const turned = activeClamps(link.clamps).flatMap((clamp) => turnedRound(clamp) ?? []);
    return turned.length === activeClamps(link.clamps).length ? turned : null;
  }
  if (!arm.startsWith("sweep:") || !link.sweep) return null;
  const swept = link.clamps[link.sweep.clamp];
  const value = link.sweep.values[Number(arm.slice("sweep:".length))];
  if (!swept || value === undefined) return null;
  return activeClamps(link.clamps).map((clamp) => (clamp === swept ? { ...clamp, value } : clamp));
}

/**
 * The trace page's address for the token at `place` of an arm's answer, with the clamps under which it was given; null where there is none. `unsent`: the
 * request ran in this tab, and is told to no server.
 */
export function whyAddress(link: SteerLink, arm: Arm, place: number, unsent = false): string | null {
  const clamps = clampsOf(link, arm);
  if (!clamps) return null;
  const text = encodeSteerLink({
    ...link,
    clamps: clamps.map((clamp) => ({ ...clamp, muted: false, solo: false })),
    controls: [],
    sweep: null,
    watch: [],
  });
  return text.length <= maxLinkLength ? traceHref(link.dictionary, text, { token: place }, unsent) : null;
}
