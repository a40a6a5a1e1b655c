import { describe, expect, it } from "vitest";
import { FacetError } from "@/lib/core/errors";
import { type FoundFeatures, SessionCodes } from "@/lib/core/picture-codes";
import { emptyRegion, paintShape } from "@/lib/core/region";
import { type Look, RegionScan } from "./region-scan";

const left = paintShape(emptyRegion(1, 2), { kind: "box", from: { x: 0, y: 0 }, to: { x: 1, y: 1 } });
const right = paintShape(emptyRegion(1, 2), { kind: "box", from: { x: 1, y: 0 }, to: { x: 2, y: 1 } });
const maxima = new Map([[7, 8]]);
const question = (region = left) => ({ region, features: [7], maxima });

/** Of picture `i` feature 7 is i on the left and 8 − i on the right. */
const seen = (i: number, total = 1): FoundFeatures => ({
  rows: 1,
  cols: 2,
  total,
  features: [{ index: 7, map: { positions: Uint16Array.of(0, 1), values: Float32Array.of(i, 8 - i) } }],
});

/** A scan of eight pictures. `fails`: what a picture throws, as often as is said. */
function make(fails: Record<string, FacetError[]> = {}, { session = new SessionCodes(1e6), kept = true } = {}) {
  const looked: string[] = [];
  const waits: number[] = [];
  let held: { release: () => void; from: string } | null = null;
  const pictures = Array.from({ length: 8 }, (_, i) => ({ sha256: `p${i}`, caption: `picture ${i}` }));
  const look: Look = async (sha256) => {
    looked.push(sha256);
    if (held?.from === sha256) await new Promise<void>((resolve) => (held = { from: "", release: resolve }));
    const error = fails[sha256]?.shift();
    if (error) throw error;
    return seen(Number(sha256.slice(1)), sha256 === "p5" ? 3 : 1);
  };
  let now = 0;
  const scan = new RegionScan({
    open: async () => ({ pictures, codes: session.open("m d") }),
    kept: () => kept && session.open("m d").size > 0,
    engine: async () => look,
    now: () => (now += 300),
    wait: async (ms) => void waits.push(ms),
  });
  const best = () => scan.snapshot().found?.top.map(({ caption, score }) => [caption, score]);
  return {
    scan,
    looked,
    waits,
    best,
    session,
    /** The model stays at this picture until `release`. */
    hold: (from: string) => {
      held = { from, release: () => {} };
    },
    release: () => held?.release(),
  };
}
const failed = (code: FacetError["code"], message = "No.") => new FacetError(code, message);
const until = async (condition: () => boolean) => {
  for (let i = 0; i < 100 && !condition(); i++) await Promise.resolve();
  expect(condition()).toBe(true);
};

describe("looking through all pictures", () => {
  it("looks at each once, and ranks by another region without asking the model", async () => {
    const { scan, looked, best } = make();
    scan.ask(question());
    expect(scan.snapshot()).toMatchObject({ status: "idle", total: null, found: null });
    const states: string[] = [];
    scan.subscribe(() => {
      const { status, looked, total } = scan.snapshot();
      states.push(`${status} ${looked}/${total}`);
    });
    await scan.start();
    expect(looked.toSorted()).toEqual(["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"]);
    expect([states[0], states[1], states.at(-2), states.at(-1)]).toEqual(["starting 0/null", "running 0/8", "running 8/8", "done 8/8"]);
    expect(scan.snapshot()).toMatchObject({ looked: 8, failed: 0, cut: 1, unkept: 0, found: { total: 7 } });
    expect(best()?.slice(0, 2)).toEqual([
      ["picture 7", 7 / 8],
      ["picture 6", 6 / 8],
    ]);
    // What is the same stays the same object, so that its heat is not drawn anew.
    const { top } = scan.snapshot().found as { top: unknown };
    scan.ask(question(right));
    expect(best()?.slice(0, 2)).toEqual([
      ["picture 0", 1],
      ["picture 1", 7 / 8],
    ]);
    expect(top).not.toBe(scan.snapshot().found?.top);
    scan.ask(null);
    expect(scan.snapshot().found).toBeNull();
    await scan.start();
    expect(looked).toHaveLength(8);
  });

  it("stops within one picture, goes on from there, and another page of the session begins with what is kept", async () => {
    const { scan, looked, best, hold, release, session } = make();
    scan.ask(question());
    hold("p2");
    const run = scan.start();
    await until(() => looked.at(-1) === "p2");
    const asked = looked.length;
    scan.stop();
    expect(scan.snapshot().status).toBe("stopping");
    // Begun again before the picture in hand is done: one after the other all the same.
    const again = scan.start();
    release();
    await run;
    await again;
    expect(scan.snapshot()).toMatchObject({ status: "done", looked: 8 });
    expect([looked.length, new Set(looked).size, asked < 8]).toEqual([8, 8, true]);

    const stopped = make();
    stopped.hold("p2");
    const ended = stopped.scan.start();
    await until(() => stopped.looked.at(-1) === "p2");
    stopped.scan.stop();
    stopped.release();
    await ended;
    // What was in hand is kept.
    expect(stopped.scan.snapshot()).toMatchObject({ status: "stopped", looked: stopped.looked.length, error: null });
    expect(stopped.looked.length).toBe(asked);

    const other = make({}, { session });
    other.scan.ask(question());
    await other.scan.recall();
    expect(other.scan.snapshot()).toMatchObject({ status: "idle", looked: 8, total: 8 });
    expect([other.looked, other.best()]).toEqual([[], best()]);
  });

  it("counts a picture that fails with the first cause, tries it again when asked, and waits for a busy engine", async () => {
    const { scan, looked, waits } = make({
      p3: [failed("unreadable_image", "Broken.")],
      p6: [failed("engine_busy"), failed("engine_busy"), failed("unsupported_image", "Odd.")],
    });
    scan.ask(question());
    await scan.start();
    expect(waits).toEqual([1_000, 2_000]);
    const first = looked.find((sha256) => sha256 === "p3" || sha256 === "p6") === "p3" ? "Broken." : "Odd.";
    expect(scan.snapshot()).toMatchObject({ status: "done", busy: false, looked: 6, failed: 2, firstFailure: { message: first } });
    const asked = looked.length;
    await scan.start();
    expect(looked.slice(asked).toSorted()).toEqual(["p3", "p6"]);
    expect(scan.snapshot()).toMatchObject({ status: "done", looked: 8, failed: 0, firstFailure: null });
  });

  it("ends with a sentence where no picture would fare better", async () => {
    const gone = make({ p5: [failed("engine_unavailable", "The worker is gone.")] });
    await gone.scan.start();
    expect(gone.scan.snapshot()).toMatchObject({ status: "failed", failed: 0, error: { message: "The worker is gone." } });
    const before = gone.looked.length;
    await gone.scan.start();
    expect(gone.scan.snapshot()).toMatchObject({ status: "done", looked: 8, error: null });
    expect(gone.looked[before]).toBe("p5");

    const all = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`p${i}`, [failed("engine_failed", "It broke.")]]));
    const broken = make(all);
    await broken.scan.start();
    expect(broken.scan.snapshot()).toMatchObject({
      status: "failed",
      failed: 5,
      error: { message: "The last 5 pictures failed. It broke." },
    });
  });

  it("ranks on where the memory for other regions is full, and asks anew for those that it did not keep", async () => {
    const { scan, looked } = make({}, { session: new SessionCodes(3 * 650) });
    scan.ask(question());
    await scan.start();
    const { unkept } = scan.snapshot();
    expect([unkept > 0, unkept < 8]).toEqual([true, true]);
    expect(scan.snapshot()).toMatchObject({ status: "done", looked: 8, found: { total: 7 } });
    scan.ask(question(right));
    expect(scan.snapshot()).toMatchObject({ looked: 8 - unkept, unkept: 0 });
    await scan.start();
    expect(looked).toHaveLength(8 + unkept);
    expect(scan.snapshot()).toMatchObject({ status: "done", looked: 8, found: { total: 8 } });
  });
});
