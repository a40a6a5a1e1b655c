/** From a token of the sandbox's answers to the page that explains it. */
import { type Arm, limits, type Mode } from "@/lib/core/protocol";
import { isStatic } from "@/lib/core/routes";
import { activeClamps, encodeSteerLink, type LinkedClamp, maxLinkLength, type SteerLink } from "@/lib/core/steer-link";
import { type TraceControl, traceHref } from "@/lib/core/trace-link";

/** What made an arm's answer: clamps alone, or a control of them. */
interface Made {
  clamps: LinkedClamp[];
  mode: Mode;
  control: TraceControl | null;
}

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

/** The opposite as clamps where each can be turned round, since more can be asked under clamps than under a control. */
function oppositeOf(clamps: LinkedClamp[], mode: Mode): Made {
  const turned = clamps.flatMap((clamp) => turnedRound(clamp) ?? []);
  return turned.length === clamps.length ? { clamps: turned, mode, control: null } : { clamps, mode, control: "negated" };
}

/** Null for a point that the request's sweep does not have. */
function madeBy(link: SteerLink, arm: Arm): Made | null {
  const clamps = activeClamps(link.clamps);
  const { mode } = link;
  if (arm === "steered") return { clamps, mode, control: null };
  if (arm === "baseline") return { clamps: [], mode: "delta", control: null };
  if (arm === "reconstruction") return { clamps: [], mode: "reconstruct", control: null };
  if (arm === "negated") return oppositeOf(clamps, mode);
  if (arm === "random") return { clamps, mode, control: clamps.length ? "random" : null };
  const swept = link.sweep && link.clamps[link.sweep.clamp];
  const value = link.sweep?.values[Number(arm.slice("sweep:".length))];
  if (!swept || value === undefined) return null;
  return { clamps: clamps.map((clamp) => (clamp === swept ? { ...clamp, value } : clamp)), mode, control: null };
}

/**
 * The trace page's address for the token at `place` of an arm's answer, with what made it; null where the request is too long for any. `unsent`: the
 * request ran in this tab, and is told to no server.
 */
export function whyAddress(link: SteerLink, arm: Arm, place: number, unsent = isStatic): string | null {
  const made = madeBy(link, arm);
  if (!made) return null;
  const { clamps, mode, control } = made;
  const text = encodeSteerLink({
    ...link,
    clamps: clamps.map((clamp) => ({ ...clamp, muted: false, solo: false })),
    mode,
    controls: [],
    sweep: null,
    watch: [],
  });
  return text.length <= maxLinkLength ? traceHref(link.dictionary, text, { token: place, control }, unsent) : null;
}
