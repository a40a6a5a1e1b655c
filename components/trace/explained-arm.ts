/** Which arm's answer the trace page explains, in a sentence. */
import { describeScope, describeStrength } from "@/components/steer/clamp-words";
import type { ArmRun } from "@/components/steer/run-state";
import { formatIndex, formatNoun } from "@/lib/core/format";
import type { Intervention, Mode } from "@/lib/core/protocol";
import type { TraceControl } from "@/lib/core/trace-link";

export interface ExplainedArm {
  mode: Mode;
  /** Those that are sent. */
  clamps: readonly Intervention[];
  control: TraceControl | null;
  seed: number;
  /** Of the dictionary, for as many digits of an index. */
  numLatents: number;
  /** The answer, once there is one: its receipt names what the random control drew. */
  arm: ArmRun | undefined;
}

/** Clamps that are named one by one. */
const named = 3;

const clampWords = ({ clamps, numLatents }: ExplainedArm) => {
  const words = clamps
    .slice(0, named)
    .map((clamp) => `${formatIndex(clamp.feature, numLatents)} ${describeStrength(clamp)} ${describeScope(clamp.scope)}`);
  const more = clamps.length - words.length;
  return [...words, ...(more > 0 ? [`${more} more`] : [])].join("; ");
};

function randomWords({ clamps, seed, numLatents, arm }: ExplainedArm): string {
  const drawn = (arm?.receipt?.clamps ?? []).slice(0, named).map(({ feature }, i) => {
    const own = clamps[i];
    return own ? `${formatIndex(feature, numLatents)} for ${formatIndex(own.feature, numLatents)}` : formatIndex(feature, numLatents);
  });
  const features = drawn.length
    ? `: ${drawn.join(", ")}${clamps.length > drawn.length ? ` and ${clamps.length - drawn.length} more` : ""}`
    : "";
  return `The answer under the random control: each change is written along a random feature of seed ${seed}, at equal norm${features}.`;
}

/** What is explained; null for the model's own answer, untouched. */
export function armSentence(explained: ExplainedArm): string | null {
  const { mode, clamps, control } = explained;
  const inMode = mode === "reconstruct" ? " The dictionary's output replaces the model's states." : "";
  if (control && clamps.length > 0) {
    const what = control === "random" ? randomWords(explained) : "The answer under the opposite control: every change is turned round.";
    return `${what} The ${formatNoun(clamps.length, "clamp")}: ${clampWords(explained)}.${inMode}`;
  }
  if (clamps.length > 0) return `The answer under ${formatNoun(clamps.length, "clamp")}: ${clampWords(explained)}.${inMode}`;
  return inMode ? "The answer of the reconstruction: the dictionary's output replaces the model's states, without a clamp." : null;
}
