/** Whether a run of the same request gave the same again: token for token, and with the same model, dictionary and pictures. */
import { receiptsOf } from "./experiment";
import { formatNoun } from "./format";
import type { Arm, EngineEvent, Receipt } from "./protocol";

export interface HashDifference {
  what: "model" | "dictionary" | "picture" | "prompt" | "engine" | "maximum";
  /** Which of several: a picture's place from 1, or a feature's index. */
  at?: number;
  saved: string;
  now: string;
}

export interface TokenDifference {
  arm: Arm;
  /** The first token that differs, from 0. */
  at: number;
  /** Null: the answer had ended. */
  saved: string | null;
  now: string | null;
}

export interface Verdict {
  /** Every arm wrote the same tokens. */
  sameTokens: boolean;
  /** Compared, over all arms. */
  tokens: number;
  arms: number;
  hashes: HashDifference[];
  differing: TokenDifference[];
  /** Arms of the saved run that the replay lacks. */
  missing: Arm[];
  /** Largest difference of a chosen token's probability; 0 = the same to the last bit. Null where tokens differ. */
  probabilityGap: number | null;
}

type Token = Extract<EngineEvent, { type: "token" }>;

const tokensOf = (events: readonly EngineEvent[], arm: Arm): Token[] =>
  events.filter((event): event is Token => event.type === "token" && event.arm === arm);

function firstDifference(arm: Arm, saved: readonly Token[], now: readonly Token[]): TokenDifference | null {
  for (let at = 0; at < Math.max(saved.length, now.length); at++) {
    if (saved[at]?.id === now[at]?.id && saved[at]?.text === now[at]?.text) continue;
    return { arm, at, saved: saved[at]?.text ?? null, now: now[at]?.text ?? null };
  }
  return null;
}

const engineOf = ({ engine }: Receipt) => `${engine.name} ${engine.version}, ${engine.dtype}`;

/** What the two receipts of one arm say they were made with, where it is not the same. */
function hashDifferences(saved: Receipt, now: Receipt): HashDifference[] {
  const found: HashDifference[] = [];
  const compare = (what: HashDifference["what"], left: string | undefined, right: string | undefined, at?: number) => {
    if (left !== right) found.push({ what, saved: left ?? "none", now: right ?? "none", ...(at === undefined ? {} : { at }) });
  };
  compare("model", saved.model.sha256, now.model.sha256);
  compare("dictionary", saved.dictionary.sha256, now.dictionary.sha256);
  const pictures = Math.max(saved.prompt.images.length, now.prompt.images.length);
  for (let i = 0; i < pictures; i++) compare("picture", saved.prompt.images[i], now.prompt.images[i], i + 1);
  compare("prompt", saved.prompt.text, now.prompt.text);
  compare("engine", engineOf(saved), engineOf(now));
  for (const [i, clamp] of saved.clamps.entries()) {
    compare("maximum", String(clamp.unitActivation), String(now.clamps[i]?.unitActivation), clamp.feature);
  }
  return found;
}

/** `saved` and `now` are two runs' events; of `now` it is enough that it ended. */
export function compareRuns(saved: readonly EngineEvent[], now: readonly EngineEvent[]): Verdict {
  const verdict: Verdict = { sameTokens: false, tokens: 0, arms: 0, hashes: [], differing: [], missing: [], probabilityGap: null };
  const again = receiptsOf(now);
  let gap = 0;
  for (const receipt of receiptsOf(saved)) {
    const { arm } = receipt;
    const other = again.find((one) => one.arm === arm);
    if (!other) {
      verdict.missing.push(arm);
      continue;
    }
    const [left, right] = [tokensOf(saved, arm), tokensOf(now, arm)];
    verdict.arms++;
    verdict.tokens += left.length;
    const difference = firstDifference(arm, left, right);
    if (difference) verdict.differing.push(difference);
    else for (const [i, token] of left.entries()) gap = Math.max(gap, Math.abs(Math.exp(token.logprob) - Math.exp(right[i]?.logprob ?? 0)));
    // The clamps of a control that draws its feature by chance are compared too: the seed decides them.
    for (const one of hashDifferences(receipt, other)) {
      if (!verdict.hashes.some((known) => known.what === one.what && known.at === one.at)) verdict.hashes.push(one);
    }
  }
  verdict.sameTokens = verdict.arms > 0 && verdict.differing.length === 0 && verdict.missing.length === 0;
  verdict.probabilityGap = verdict.sameTokens ? gap : null;
  return verdict;
}

const short = (text: string) => (/^[0-9a-f]{64}$/.test(text) ? text.slice(0, 12) : text);

/** "The dictionary's hash differs: saved with 0123…, run now with 4567…." */
export function describeDifference({ what, at, saved, now }: HashDifference): string {
  const values = `saved with ${short(saved)}, run now with ${short(now)}`;
  switch (what) {
    case "model":
    case "dictionary":
      return `The ${what}'s hash differs: ${values}.`;
    case "picture":
      return `The hash of picture ${at} differs: ${values}.`;
    case "prompt":
      return "The prompt as the model was given it differs.";
    case "engine":
      return `The engine differs: ${values}.`;
    case "maximum":
      return `The maximum of feature ${at}, in which its strength is counted, differs: ${values}.`;
  }
}

/** The verdict's first sentence. */
export function describeVerdict({ sameTokens, tokens, arms, differing, missing, probabilityGap }: Verdict): string {
  if (sameTokens) {
    const bits = probabilityGap === 0 ? " Their probabilities are the same to the last bit." : "";
    return `It matches token for token: ${formatNoun(tokens, "token")} in ${formatNoun(arms, "answer")}.${bits}`;
  }
  if (arms === 0) return "It gave no answer to compare.";
  const reasons: string[] = [];
  if (differing.length > 0) reasons.push(`${differing.length} of ${formatNoun(arms, "answer")} differ${differing.length === 1 ? "s" : ""}`);
  if (missing.length > 0) reasons.push(`${formatNoun(missing.length, "answer")} did not come`);
  return `It does not match: ${reasons.join(", and ")}.`;
}
