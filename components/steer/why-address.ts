/** From a token of the sandbox's answers to the page that explains it. */
import type { Arm } from "@/lib/core/protocol";
import { activeClamps, encodeSteerLink, type LinkedClamp, maxLinkLength, type SteerLink } from "@/lib/core/steer-link";
import { traceHref } from "@/lib/core/trace-link";

/** The clamps under which an arm answers; null for an arm that no clamps alone make (another clamp drawn at random, the reconstruction). */
function clampsOf(link: SteerLink, arm: Arm): LinkedClamp[] | null {
  if (arm === "baseline") return [];
  if (arm === "steered") return activeClamps(link.clamps);
  if (!arm.startsWith("sweep:") || !link.sweep) return null;
  const swept = link.clamps[link.sweep.clamp];
  const value = link.sweep.values[Number(arm.slice("sweep:".length))];
  if (!swept || value === undefined) return null;
  return activeClamps(link.clamps).map((clamp) => (clamp === swept ? { ...clamp, value } : clamp));
}

/** The trace page's address for the token at `place` of an arm's answer, with the clamps under which it was given; null where there is none. */
export function whyAddress(link: SteerLink, arm: Arm, place: number): string | null {
  const clamps = clampsOf(link, arm);
  if (!clamps) return null;
  const text = encodeSteerLink({
    ...link,
    clamps: clamps.map((clamp) => ({ ...clamp, muted: false, solo: false })),
    controls: [],
    sweep: null,
    watch: [],
  });
  return text.length <= maxLinkLength ? traceHref(link.dictionary, text, { token: place }) : null;
}
