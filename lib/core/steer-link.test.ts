import { describe, expect, it } from "vitest";
import { FacetError } from "./errors";
import { generateRequestSchema } from "./protocol";
import {
  decodeSteerLink,
  encodeSteerLink,
  type LinkedClamp,
  linkFromRequest,
  linkInHash,
  maxLinkLength,
  requestFromLink,
  type SteerLink,
  steerHref,
} from "./steer-link";

const hash = (digit: string) => digit.repeat(64);
const clamp = (over: Partial<LinkedClamp> = {}): LinkedClamp => ({
  feature: 417,
  op: "set",
  value: 2,
  unit: "max",
  scope: { type: "image" },
  muted: false,
  solo: false,
  ...over,
});
const plain: SteerLink = {
  dictionary: "facet-emoji/model.layers.1",
  version: "0123456789ab",
  messages: [
    {
      role: "user",
      content: [
        { type: "image", image: { sha256: hash("a"), upload: false } },
        { type: "text", text: "What do you see?" },
      ],
    },
  ],
  sampling: { maxTokens: 48, temperature: 0, topP: 1, seed: 0 },
  clamps: [clamp()],
  mode: "delta",
  controls: ["baseline"],
  alternatives: 5,
  sweep: null,
  watch: [],
};
const rich: SteerLink = {
  ...plain,
  version: null,
  messages: [
    {
      role: "user",
      content: [
        { type: "image", image: { sha256: hash("f"), upload: true } },
        { type: "image", image: { sha256: hash("0"), upload: false } },
        { type: "text", text: "مرحبا 🍋 “quoted” & = ? #" },
      ],
    },
    { role: "assistant", content: [{ type: "text", text: "a lemon\nat the top" }] },
    { role: "user", content: [{ type: "text", text: "" }] },
  ],
  sampling: { maxTokens: 7, temperature: 0.7, topP: 0.9, seed: 4_294_967_295 },
  clamps: [
    clamp({ op: "ablate", value: 0, scope: { type: "all" }, muted: true }),
    clamp({ feature: 0, op: "add", value: -0.125, unit: "raw", scope: { type: "generated" }, solo: true }),
    clamp({ feature: 9, op: "scale", value: 1000, scope: { type: "region", image: 1, cells: [3, 4, 5, 9] } }),
    clamp({ feature: 10, scope: { type: "prompt" }, muted: true, solo: true }),
  ],
  mode: "reconstruct",
  controls: ["baseline", "negated", "random"],
  alternatives: 0,
  sweep: { clamp: 1, values: [-4, 0, 0.5, 12] },
  watch: ["lemon", "مرحبا"],
};

describe("steer links", () => {
  it("give back what they were made of", () => {
    for (const link of [plain, rich, { ...plain, clamps: [], controls: [], messages: [] }]) {
      expect(decodeSteerLink(encodeSteerLink(link))).toEqual(link);
    }
  });

  it("are short, and safe in a query string as they are", () => {
    const text = encodeSteerLink(plain);
    expect(text.length).toBeLessThan(240);
    expect(text).toMatch(/^1\.[\w-]+$/);
    expect(new URLSearchParams({ r: text }).toString()).toBe(`r=${text}`);
  });

  it("stand behind the # where they are too long for a server, and nowhere where they are too long for a browser", () => {
    const href = steerHref(plain.dictionary, encodeSteerLink(plain));
    expect(new URL(href, "http://localhost").searchParams.get("r")).toBe(encodeSteerLink(plain));
    const text = "a long question ".repeat(490);
    const long = encodeSteerLink({ ...plain, messages: [{ role: "user", content: [{ type: "text", text }] }] });
    const { hash, search } = new URL(steerHref(plain.dictionary, long), "http://localhost");
    expect(search.length).toBeLessThan(100);
    expect(decodeSteerLink(linkInHash(hash) ?? "").messages[0]?.content).toEqual([{ type: "text", text }]);
    expect(steerHref(plain.dictionary, `1.${"a".repeat(maxLinkLength)}`)).not.toContain("#");
  });

  it("write painted cells as runs, whatever their order", () => {
    const painted = (cells: number[]) => encodeSteerLink({ ...plain, clamps: [clamp({ scope: { type: "region", image: 0, cells } })] });
    expect(painted([5, 3, 4, 4, 9])).toBe(painted([3, 4, 5, 9]));
    const all = Array.from({ length: 144 }, (_, i) => i);
    expect(painted(all).length).toBeLessThan(encodeSteerLink(plain).length + 20);
  });

  it("refuse what is cut, altered, out of range or newer, with a sentence", () => {
    const text = encodeSteerLink(rich);
    const altered = (json: unknown) => `1.${Buffer.from(JSON.stringify(json)).toString("base64url")}`;
    for (const bad of [
      "",
      ".",
      "1.",
      "1.%%%",
      text.slice(0, -20),
      text.slice(2),
      altered({ d: "no-slash", m: [] }),
      altered({ d: "a/b", m: [], c: [[1, "s", 1, [0, "0-999999999"]]] }),
      altered({ d: "a/b", m: [], surprise: 1 }),
    ]) {
      expect(() => decodeSteerLink(bad), bad).toThrow(FacetError);
      expect(() => decodeSteerLink(bad), bad).toThrow(/incomplete or was altered/);
    }
    expect(() => decodeSteerLink(`2.${text.slice(2)}`)).toThrow(/newer Facet/);
    const clamps = (...c: unknown[]) => altered({ d: "a/b", m: [], c });
    expect(() => decodeSteerLink(clamps([17, "s", 1e9, "i"]))).toThrow("The strength of feature 17 in this link is 1000000000;");
    expect(() => decodeSteerLink(clamps([17, "s", Number.NaN, "i"]))).toThrow(/feature 17 in this link is no number; strengths go from/);
    const many = Array.from({ length: 200 }, (_, i) => [i, "s", 1, "i"]);
    expect(() => decodeSteerLink(clamps(...many))).toThrow("This link holds 200 clamps; a request holds at most 64.");
  });
});

describe("requests from links", () => {
  it("send unmuted clamps only, and only solo ones where there are any", () => {
    const features = (clamps: LinkedClamp[]) => requestFromLink({ ...plain, clamps }, () => undefined).interventions.map((i) => i.feature);
    expect(features([clamp({ feature: 1 }), clamp({ feature: 2, muted: true })])).toEqual([1]);
    expect(features([clamp({ feature: 1 }), clamp({ feature: 2, solo: true }), clamp({ feature: 3, solo: true, muted: true })])).toEqual([
      2, 3,
    ]);
  });

  it("sweep a clamp by its place among those that are sent, and none that is muted or has no strength", () => {
    const sweep = { clamp: 1, values: [0, 4] };
    const sent = (...clamps: LinkedClamp[]) => requestFromLink({ ...plain, clamps, sweep }, () => undefined).sweep;
    expect(sent(clamp({ feature: 1, muted: true }), clamp({ feature: 2 }))).toEqual({ clamp: 0, values: [0, 4] });
    expect(sent(clamp({ feature: 1 }), clamp({ feature: 2, muted: true }))).toBeUndefined();
    expect(sent(clamp({ feature: 1 }), clamp({ feature: 2, op: "ablate" }))).toBeUndefined();
    expect(sent(clamp({ feature: 1 }))).toBeUndefined();
  });

  it("take an upload's bytes from this browser, or say that it is not here", () => {
    const request = requestFromLink(rich, (sha256) => (sha256 === hash("f") ? "data:image/png;base64,AA==" : undefined));
    expect(request.messages[0]?.content[0]).toEqual({ type: "image", image: { dataUrl: "data:image/png;base64,AA==" } });
    expect(() => requestFromLink(rich, () => undefined)).toThrow(/not in this browser/);
  });

  it("round-trip through a link", () => {
    const request = requestFromLink(plain, () => undefined);
    expect(generateRequestSchema.parse(request)).toEqual(request);
    expect(linkFromRequest(request)).toEqual(plain);
  });
});
