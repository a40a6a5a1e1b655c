/**
 * Arms of one run going through the model side by side: one pass of a batch writes a token of each. The weights are read once for all, which is most of what
 * a token costs. Members of a batch do not see each other: their numbers are bit for bit those of an arm alone, which the conformance suite checks.
 *
 * Where arms clamp generated tokens, some tokens at a time are drafted (draft.mjs) and told once they are checked. A wrong guess costs the time of the tokens
 * behind it, which are written anew; nothing of them was told, counted or kept.
 */
import type { ClampedSlab, Codes } from "@/lib/core/clamp-arithmetic.mjs";
import { type ArmRun, activeFeatures, type TokenEvent } from "./arm";
import type { Cache, CutModel, PassedToken, Place, TokenPass } from "./cut-model";
import { canDraft } from "./draft.mjs";
import type { Prefill } from "./prefill";
import type { Checked, Draft } from "./runtime";
import { joined } from "./token-hook.mjs";

/** Beyond this the caches, which each pass copies, outweigh the weights. */
const largestBatch = 8;
/** What is drafted before it is checked: so many rows, and no longer than nobody sees that tokens come together. */
const draftedRows = 16;
const draftedMs = 50;

/** The arms in batches, in their order. */
export function inBatches<T>(arms: readonly T[]): T[][] {
  const batches: T[][] = [];
  for (let i = 0; i < arms.length; i += largestBatch) batches.push(arms.slice(i, i + largestBatch));
  return batches;
}

const halves = ["lower", "upper"] as const;

export class Lockstep {
  /** Caches that were made here and not given up yet. */
  private readonly held = new Set<Cache>();
  private readonly drafts: boolean;
  private draft: Draft | null = null;
  /** Milliseconds of a drafted pass, of late. */
  private passMs = draftedMs / 4;
  /** Whether the next token is checked at once: it is known that its guess was wrong. */
  private distrust = false;

  constructor(
    private readonly model: CutModel,
    private readonly prefill: Prefill,
    /** How many features a token's event lists. */
    private readonly features: number,
    private readonly runs: readonly ArmRun[],
  ) {
    const clamped = runs.flatMap(({ tokenClamps }) => tokenClamps ?? []);
    this.drafts = features === 0 && clamped.length > 0 && clamped.every(canDraft) && !runs.some(({ watched }) => watched);
  }

  /**
   * Each open arm writes a token, or several, and the tokens enter the model. Yields the tokens' events as they are known, none after `signal`'s abort but those
   * of the token that was being written. Arms that finished are told apart by `finished`.
   */
  async *step(signal: AbortSignal): AsyncGenerator<TokenEvent, void, void> {
    const open = this.runs.filter(({ finished }) => !finished);
    const written = this.write(open);
    if (this.features === 0) for (const { event } of written) yield event;
    // A token that ends an answer enters the model only to be looked at.
    const entering = this.features > 0 ? written : written.filter(({ run }) => !run.finished);
    if (entering.length && this.drafts)
      yield* this.draftTokens(
        entering.map(({ run }) => run),
        signal,
      );
    else if (entering.length)
      await this.timed(
        entering.map(({ run }) => run),
        () => this.pass(entering),
      );
    if (this.features > 0) for (const { event } of written) yield event;
  }

  private write(open: readonly ArmRun[]): { run: ArmRun; event: TokenEvent }[] {
    const start = performance.now();
    const written = open.flatMap((run) => {
      const event = run.write();
      return event ? [{ run, event }] : [];
    });
    const writing = performance.now() - start;
    for (const run of open) run.spend(writing);
    return written;
  }

  /** Counts the time that the arms' passage takes. */
  private async timed<T>(runs: readonly ArmRun[], passage: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const passed = await passage();
    const spent = performance.now() - start;
    for (const run of runs) run.spend(spent);
    return passed;
  }

  private async pass(entering: { run: ArmRun; event: TokenEvent }[]): Promise<void> {
    const runs = entering.map(({ run }) => run);
    const arms = runs.map(({ tokenClamps }) => tokenClamps);
    const listed = this.features > 0;
    const hooked = listed || arms.some((arm) => arm !== null) ? { arms, listed } : null;
    const ids = runs.map(({ lastId }) => lastId);
    const { upper, report } = await this.advance(runs, { ids, hooked }, !runs.every(({ finished }) => finished));
    if (upper) for (const [row, run] of runs.entries()) run.receive(upper.last[row] as Float32Array);
    if (!report) return;
    entering.forEach(({ run, event }, i) => {
      run.countToken(report.states[i] as Float32Array, report.slabs[i] as ClampedSlab);
      if (listed) event.features = activeFeatures(report.codes[i] as Codes, report.after[i] as Codes, this.features);
    });
  }

  /** Tokens through the model; the arms' caches move on. */
  private async advance(runs: ArmRun[], pass: Pick<TokenPass, "ids" | "hooked" | "drafted">, raised: boolean): Promise<PassedToken> {
    const left = this.placesOf(runs, raised ? halves : ["lower"]);
    const lower = await this.behind(runs.map((run) => run.place("lower")));
    const upper = raised ? await this.behind(runs.map((run) => run.place("upper"))) : null;
    const whole = { ...pass, lower, upper };
    const passed = runs.some(({ watched }) => watched) ? await this.passWatched(whole, runs) : await this.model.wholeToken(whole);
    this.moveTo(runs, "lower", passed.lower);
    // A wrong guess ends a pass below the upper half, whose cache stays.
    if (passed.upper) this.moveTo(runs, "upper", passed.upper.cache);
    else if (upper) this.moveTo(runs, "upper", upper);
    await this.giveUp(new Set([lower, ...(upper ? [upper] : []), ...left]), runs);
    return passed;
  }

  private placesOf(runs: readonly ArmRun[], of: readonly ("lower" | "upper")[]): Cache[] {
    return of.flatMap((half) => runs.map((run) => run.place(half).cache));
  }

  private moveTo(runs: readonly ArmRun[], half: "lower" | "upper", cache: Cache): void {
    if (!runs.every((run) => run.place(half).cache === cache)) this.held.add(cache);
    runs.forEach((run, row) => {
      run.moveTo(half, { cache, row });
    });
  }

  /** Tokens of these arms, whose last ones enter first, until some were checked. Yields the events of those that are written behind them. */
  private async *draftTokens(runs: ArmRun[], signal: AbortSignal): AsyncGenerator<TokenEvent, void, void> {
    const drafted: Float32Array[][] = [];
    const checked = await this.timed(runs, () => this.draftUntilChecked(runs, drafted, signal));
    if (!checked) return;
    const right = checked.wrong ?? drafted.length;
    for (let token = 0; token < right; token++) {
      if (token > 0) {
        if (signal.aborted) return;
        for (const { event } of this.write(runs)) yield event;
      }
      for (const [row, run] of runs.entries()) {
        const clamped = checked.tokens[token]?.get(this.runs.indexOf(run));
        if (clamped) run.countToken(clamped.state, clamped.slab);
        run.receive(drafted[token]?.[row] as Float32Array);
      }
    }
    // The very first was wrong: it is written already, and enters again.
    if (right === 0) yield* this.draftTokens(runs, signal);
  }

  /** Drafts until something was checked, and goes back where that was wrong; null where the run was aborted before. `drafted` gets each token's logits. */
  private async draftUntilChecked(runs: ArmRun[], drafted: Float32Array[][], signal: AbortSignal): Promise<Checked | null> {
    this.draft ??= await this.model.draft(
      this.runs.map(({ tokenClamps }) => tokenClamps),
      this.runs[0]?.guesses ?? null,
    );
    const { draft } = this;
    const members = runs.map((run) => this.runs.indexOf(run));
    const most = Math.max(1, Math.min(Math.floor(draftedRows / runs.length), Math.floor(draftedMs / this.passMs)));
    let ids: number[] = runs.map(({ lastId }) => lastId);
    let entered = 0;
    let checked: Checked | null = null;
    while (!checked) {
      const start = performance.now();
      const check = this.distrust || entered + 1 >= most;
      this.distrust = false;
      const passed = await this.advance(runs, { ids, hooked: null, drafted: { draft, members, check } }, true);
      this.passMs += (performance.now() - start - this.passMs) / 8;
      entered++;
      checked = passed.checked;
      if (!passed.upper) break;
      drafted.push(passed.upper.last);
      if (checked) break;
      if (signal.aborted) return null;
      const next = passed.upper.last.map((logits, row) => (runs[row] as ArmRun).ahead(logits, drafted.length));
      if (next.every((id) => id !== null)) ids = next;
      else checked = await this.model.runtime.settle(draft);
    }
    if (checked && checked.wrong !== null) await this.goBack(runs, entered - checked.wrong, drafted.length - checked.wrong);
    return checked;
  }

  /** Takes the last tokens' positions out of the arms' caches. */
  private async goBack(runs: ArmRun[], lower: number, upper: number): Promise<void> {
    for (const run of runs) run.wentBack();
    this.distrust = true;
    for (const [half, positions] of [
      ["lower", lower],
      ["upper", upper],
    ] as const) {
      const { cache } = (runs[0] as ArmRun).place(half);
      this.moveTo(runs, half, await this.model.without(cache, positions));
      await this.giveUp([cache], runs);
    }
  }

  /** The same as the model's own pass, stopping at the hook so that a test can look on and interfere. */
  private async passWatched({ ids, lower, upper, hooked }: TokenPass, runs: ArmRun[]): Promise<PassedToken> {
    const { model } = this;
    const { width, tokenHook } = model;
    const below = await model.token(ids, lower);
    const states = runs.map((_, i) => below.states.subarray(i * width, (i + 1) * width));
    const { arms, listed } = hooked ?? { arms: runs.map(() => null), listed: false };
    const clamped = await tokenHook.clamp(states, arms, listed);
    // What a test writes to must not be the model's own state.
    const slabs = clamped.slabs.map((slab, i) => (slab.output === states[i] ? { ...slab, output: slab.output.slice() } : slab));
    runs.forEach((run, i) => {
      run.showToken(states[i] as Float32Array, slabs[i] as ClampedSlab);
    });
    const given = { slabs, codes: clamped.codes };
    const after = listed ? await tokenHook.codesAfter(states, given) : [];
    const outputs = slabs.map(({ output }) => output);
    const raised = upper && (await model.upper(joined(outputs), upper, runs.length));
    return { lower: below.cache, upper: raised, report: { states, ...given, after }, checked: null };
  }

  /** The cache of exactly these places in their order: theirs as it is where it already is that, else a new one. */
  private async behind(places: Place[]): Promise<Cache> {
    const [{ cache }] = places as [Place];
    const size = cache.values().next().value?.dims[0];
    if (size === places.length && places.every((place, row) => place.cache === cache && place.row === row)) return cache;
    const gathered = await this.model.gather(places);
    this.held.add(gathered);
    return gathered;
  }

  /** Gives up caches, but not those that arms are at. */
  private async giveUp(caches: Iterable<Cache>, runs: readonly ArmRun[] = []): Promise<void> {
    const used = new Set(runs.length ? this.placesOf(runs, halves) : []);
    for (const cache of caches) {
      if (used.has(cache)) continue;
      this.held.delete(cache);
      if (!(await this.prefill.shares(cache))) this.model.release(cache);
    }
  }

  /** Gives up the caches; nothing can be written afterwards. */
  async release(): Promise<void> {
    if (this.draft) this.model.runtime.release([this.draft]);
    await this.giveUp([...this.held, ...this.runs.flatMap((run) => run.startCache ?? [])]);
  }
}
