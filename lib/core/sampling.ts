/** From logits to the next token: greedy, or temperature and nucleus (top-p) with a seeded generator. */
import type { Sampling } from "./protocol";

/** ln softmax of the logits, in double precision. */
export function logSoftmax(logits: Float32Array): Float64Array {
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  const shift = max + Math.log(sum);
  return Float64Array.from(logits, (logit) => logit - shift);
}

/** Index of the largest logit, the lowest where several are equal. */
export function argmax(logits: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] as number) > (logits[best] as number)) best = i;
  return best;
}

/** The `n` likeliest tokens, likeliest first. */
export function likeliest(logprobs: ArrayLike<number>, n: number): { id: number; logprob: number }[] {
  const best: { id: number; logprob: number }[] = [];
  if (n === 0) return best;
  for (let id = 0; id < logprobs.length; id++) {
    const logprob = logprobs[id] as number;
    if (best.length === n && logprob <= (best[n - 1] as { logprob: number }).logprob) continue;
    let at = best.length;
    while (at > 0 && (best[at - 1] as { logprob: number }).logprob < logprob) at--;
    best.splice(at, 0, { id, logprob });
    if (best.length > n) best.pop();
  }
  return best;
}

/**
 * The next token. `random` is called once for each sampled token and not at all when greedy, so that two arms with equal logits and equal seeds write
 * the same text.
 */
export function chooseToken(logits: Float32Array, { temperature, topP }: Sampling, random: () => number): number {
  if (temperature === 0) return argmax(logits);
  const logprobs = logSoftmax(Float32Array.from(logits, (logit) => logit / temperature));
  const ids = Array.from(logprobs.keys()).sort((a, b) => (logprobs[b] as number) - (logprobs[a] as number) || a - b);
  const nucleus: { id: number; p: number }[] = [];
  let mass = 0;
  for (const id of ids) {
    const p = Math.exp(logprobs[id] as number);
    nucleus.push({ id, p });
    mass += p;
    if (mass >= topP) break;
  }
  let rest = random() * mass;
  for (const { id, p } of nucleus) {
    rest -= p;
    if (rest < 0) return id;
  }
  return (nucleus.at(-1) as { id: number }).id;
}
