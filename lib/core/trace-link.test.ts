import { describe, expect, it } from "vitest";
import { maxSentLength } from "./steer-link";
import { readTraceView, type TraceView, traceHref, usualView } from "./trace-link";

const read = (href: string) => readTraceView((key) => new URL(href, "http://localhost").searchParams.get(key));

const views: TraceView[] = [
  usualView,
  { ...usualView, token: 0, metric: { type: "against", token: 41 } },
  {
    ...usualView,
    token: 3,
    metric: { type: "logit" },
    where: "image",
    grouped: true,
    without: ["always_on", "positional"],
    feature: 0,
    view: "graph",
    steps: 16,
    picture: 1,
  },
  { ...usualView, token: 0, view: "mend", right: "no, “none” & 1 + 1", asks: "is there a dog ?\nhow many ?" },
  { ...usualView, token: 1, control: "random" },
  { ...usualView, token: 7, control: "negated", metric: { type: "answer" }, where: "text", without: ["sink"], feature: 2047 },
];

describe("the trace page's address", () => {
  it.each(views)("brings back every view: %j", (view) => {
    expect(read(traceHref("m/d", "1.abc", view))).toEqual(view);
  });

  it("is the same for the same view, and bare for the usual one", () => {
    expect(traceHref("m/d", "1.abc")).toBe("/trace?dictionary=m%2Fd&r=1.abc");
    const [a, b] = (["always_on", "sink"] as const).map((kind, _, all) => ({ without: kind === "sink" ? all.toReversed() : [...all] }));
    expect(traceHref("m/d", "1.abc", a)).toBe(traceHref("m/d", "1.abc", b));
  });

  it("leaves at its default what it names and does not exist", () => {
    const odd = "/trace?control=steered&token=-1&against=1e3&where=moon&group=size&without=dead,sink&feature=x&view=pie&steps=1&picture=-1";
    expect(read(odd)).toEqual({ ...usualView, without: ["sink"] });
  });

  it("keeps a long request from the server, and one beyond every address out of it", () => {
    const long = traceHref("m/d", "x".repeat(maxSentLength + 1), { token: 2 });
    expect(long).toMatch(/^\/trace\?dictionary=m%2Fd&token=2#r=x+$/);
    expect(traceHref("m/d", "x".repeat(600_000))).toBe("/trace?dictionary=m%2Fd");
  });

  it("keeps a request that runs in the tab from the server, and what was typed to mend it", () => {
    const view = { token: 2, view: "mend" as const, right: "no", asks: "how many ?" };
    expect(traceHref("m/d", "1.abc", view, true)).toBe("/trace?dictionary=m%2Fd&token=2&view=mend#r=1.abc");
  });
});
