/**
 * A whole steering request in a link. `r=1.<base64url of compact JSON>`: defaults are left out, hashes take 43 characters, painted cells
 * are runs. A link carries no picture: catalogue pictures are named by their hash, uploaded ones too (`upload: true`), whose bytes stay in
 * the browser that uploaded them.
 */
import { z } from "zod";
import { FacetError } from "./errors";
import {
  controlSchema,
  dictionaryRefSchema,
  type GenerateRequest,
  generateRequestSchema,
  type ImageRef,
  type Intervention,
  interventionSchema,
  limits,
  type Sampling,
  type Scope,
  type Sweep,
  samplingSchema,
  sha256Schema,
  sweepSchema,
} from "./protocol";
import { isStatic, routes } from "./routes";

export interface LinkedImage {
  sha256: string;
  /** Its bytes are in the uploader's browser only, not in the catalogue. */
  upload: boolean;
}

export type LinkPart = { type: "text"; text: string } | { type: "image"; image: LinkedImage };

export interface LinkMessage {
  role: "user" | "assistant";
  content: LinkPart[];
}

/** A clamp as the sandbox keeps it. Muted clamps are not sent; where any is `solo`, only those are. */
export type LinkedClamp = Intervention & { muted: boolean; solo: boolean };

export interface SteerLink {
  dictionary: string;
  /** First 12 hexadecimal digits of the dictionary's hash; null for whichever is imported. */
  version: string | null;
  messages: LinkMessage[];
  sampling: Sampling;
  clamps: LinkedClamp[];
  mode: GenerateRequest["mode"];
  controls: GenerateRequest["controls"];
  alternatives: number;
  /** One clamp at several strengths: its place among `clamps`. Null for none. */
  sweep: Sweep | null;
  /** Words whose probability is followed. */
  watch: string[];
}

/** How many features each generated token is asked to name. */
const featuresOnToken = 6;

/**
 * Longest `r` that is sent to a server, which cut request lines at about 8 to 16 thousand characters. A longer one stands behind the address's `#`, which
 * stays in the browser.
 */
export const maxSentLength = 6_000;
/** Longest address that every browser keeps whole, about; a request beyond it is in no link. */
export const maxLinkLength = 500_000;

/** The sandbox's address for a request's link text; without it where it is too long for any. `unsent`: behind the `#` however short it is, as always in a copy. */
export function steerHref(dictionary: string, link: string, unsent = isStatic): string {
  if (link.length <= maxSentLength && !unsent) return routes.steer({ dictionary, r: link });
  const bare = routes.steer({ dictionary });
  return link.length <= maxLinkLength ? `${bare}#r=${link}` : bare;
}

/** The link text behind an address's `#`; null where there is none. */
export const linkInHash = (hash: string): string | null => (hash.startsWith("#r=") ? hash.slice(3) : null);

const currentVersion = "1";
const scopeLetters = { image: "i", prompt: "p", generated: "g", all: "a" } as const;
const scopeNames = { i: "image", p: "prompt", g: "generated", a: "all" } as const;
const opLetters = { set: "s", scale: "x", add: "+", ablate: "0" } as const;
const opNames = { s: "set", x: "scale", "+": "add", "0": "ablate" } as const;
const defaults = generateRequestSchema.parse({ dictionary: "a/b", messages: [{ role: "user", content: [{ type: "text", text: "" }] }] });

const packedScopeSchema = z.union([
  z.enum(["i", "p", "g", "a"]),
  z.tuple([z.number().int().min(0), z.string().regex(/^\d+(-\d+)?(,\d+(-\d+)?)*$/)]),
]);
const packedClampSchema = z.tuple([z.number(), z.enum(["s", "x", "+", "0"]), z.number(), packedScopeSchema, z.string().optional()]);
const hashSchema = z.string().regex(/^[\w-]{43}$/);
const packedPartSchema = z.union([z.string(), z.strictObject({ i: hashSchema }), z.strictObject({ u: hashSchema })]);
const packedSchema = z.strictObject({
  d: dictionaryRefSchema,
  v: z
    .string()
    .regex(/^[0-9a-f]{12}$/)
    .optional(),
  m: z.array(z.tuple([z.enum(["u", "a"])], packedPartSchema)).max(limits.messages),
  s: z.strictObject({ n: z.number().optional(), t: z.number().optional(), p: z.number().optional(), s: z.number().optional() }).optional(),
  c: z.array(packedClampSchema).max(limits.clamps).optional(),
  o: z.literal("r").optional(),
  k: z.array(controlSchema).max(4).optional(),
  a: z.number().optional(),
  /** A sweep: the clamp's place, then its strengths. */
  w: z
    .tuple([z.number().int().min(0)])
    .rest(z.number())
    .optional(),
  l: z.array(z.string().trim().min(1).max(64)).max(limits.watchedWords).optional(),
});
type Packed = z.infer<typeof packedSchema>;

function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}

function packHash(sha256: string): string {
  return toBase64Url(Uint8Array.from(sha256.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)));
}

function unpackHash(text: string): string {
  return sha256Schema.parse(Array.from(fromBase64Url(text), (byte) => byte.toString(16).padStart(2, "0")).join(""));
}

/** `[1, 2, 3, 7]` → `1-3,7`. Order and repeats carry no meaning and are dropped. */
function packCells(cells: number[]): string {
  const runs: [number, number][] = [];
  for (const cell of [...new Set(cells)].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && cell === last[1] + 1) last[1] = cell;
    else runs.push([cell, cell]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

function unpackCells(text: string): number[] {
  const cells: number[] = [];
  for (const run of text.split(",")) {
    const [from = 0, to = from] = run.split("-").map(Number);
    // A hostile run must not fill memory before the schema refuses it.
    if (to - from > 4_096) throw new RangeError("too many cells");
    for (let cell = from; cell <= to; cell++) cells.push(cell);
  }
  return cells;
}

function packScope(scope: Scope): z.infer<typeof packedScopeSchema> {
  return scope.type === "region" ? [scope.image, packCells(scope.cells)] : scopeLetters[scope.type];
}

function packSampling(sampling: Sampling): Packed["s"] {
  const packed = {
    ...(sampling.maxTokens !== defaults.sampling.maxTokens && { n: sampling.maxTokens }),
    ...(sampling.temperature !== defaults.sampling.temperature && { t: sampling.temperature }),
    ...(sampling.topP !== defaults.sampling.topP && { p: sampling.topP }),
    ...(sampling.seed !== defaults.sampling.seed && { s: sampling.seed }),
  };
  return Object.keys(packed).length ? packed : undefined;
}

/** The link's text, for `routes.steer({ r })`. The same request always gives the same text. */
export function encodeSteerLink(link: SteerLink): string {
  const packed: Packed = {
    d: link.dictionary,
    v: link.version ?? undefined,
    m: link.messages.map((message) => [
      message.role === "user" ? "u" : "a",
      ...message.content.map((part) =>
        part.type === "text" ? part.text : part.image.upload ? { u: packHash(part.image.sha256) } : { i: packHash(part.image.sha256) },
      ),
    ]),
    s: packSampling(link.sampling),
    c: link.clamps.length
      ? link.clamps.map((clamp) => {
          const flags = `${clamp.unit === "raw" ? "r" : ""}${clamp.muted ? "m" : ""}${clamp.solo ? "s" : ""}`;
          const head = [clamp.feature, opLetters[clamp.op], clamp.value, packScope(clamp.scope)] as const;
          return flags ? [...head, flags] : [...head];
        })
      : undefined,
    o: link.mode === "reconstruct" ? "r" : undefined,
    k: link.controls.join() === defaults.controls.join() ? undefined : link.controls,
    a: link.alternatives === defaults.alternatives ? undefined : link.alternatives,
    w: link.sweep ? [link.sweep.clamp, ...link.sweep.values] : undefined,
    l: link.watch.length ? link.watch : undefined,
  };
  return `${currentVersion}.${toBase64Url(new TextEncoder().encode(JSON.stringify(packed)))}`;
}

function unpack(packed: Packed): SteerLink {
  return {
    dictionary: packed.d,
    version: packed.v ?? null,
    messages: packed.m.map(([role, ...parts]) => ({
      role: role === "u" ? "user" : "assistant",
      content: parts.map((part): LinkPart => {
        if (typeof part === "string") return { type: "text", text: z.string().max(limits.textLength).parse(part) };
        const upload = "u" in part;
        return { type: "image", image: { sha256: unpackHash(upload ? part.u : part.i), upload } };
      }),
    })),
    sampling: samplingSchema.parse({ maxTokens: packed.s?.n, temperature: packed.s?.t, topP: packed.s?.p, seed: packed.s?.s }),
    clamps: (packed.c ?? []).map(([feature, op, value, scope, flags = ""]) => ({
      ...interventionSchema.parse({
        feature,
        op: opNames[op],
        value,
        unit: flags.includes("r") ? "raw" : "max",
        scope: typeof scope === "string" ? { type: scopeNames[scope] } : { type: "region", image: scope[0], cells: unpackCells(scope[1]) },
      }),
      muted: flags.includes("m"),
      solo: flags.includes("s"),
    })),
    mode: packed.o === "r" ? "reconstruct" : "delta",
    controls: packed.k ?? defaults.controls,
    alternatives: generateRequestSchema.shape.alternatives.parse(packed.a),
    sweep: packed.w ? sweepSchema.parse({ clamp: packed.w[0], values: packed.w.slice(1) }) : null,
    watch: packed.l ?? [],
  };
}

/** What a hand-made request has too much of, said by name; what else is wrong with it the schema finds. */
function refuseExcess(json: unknown): void {
  const clamps: unknown = typeof json === "object" && json !== null && "c" in json ? json.c : null;
  if (!Array.isArray(clamps)) return;
  const fix = "Change the request where the link was made, or set it up here.";
  if (clamps.length > limits.clamps) {
    throw new FacetError("invalid_request", `This link holds ${clamps.length} clamps; a request holds at most ${limits.clamps}.`, { fix });
  }
  for (const clamp of clamps) {
    const [feature, , value] = Array.isArray(clamp) ? clamp : [];
    // JSON has no NaN and no infinity: they arrive as null.
    if (value === null || (typeof value === "number" && !(Math.abs(value) <= limits.value))) {
      const given = value === null ? "no number" : String(value);
      throw new FacetError(
        "invalid_request",
        `The strength of feature ${feature} in this link is ${given}; strengths go from −${limits.value} to ${limits.value}.`,
        { fix },
      );
    }
  }
}

/** The inverse of `encodeSteerLink`. Throws `invalid_request` with a sentence when the text is cut, altered or of a newer Facet. */
export function decodeSteerLink(text: string): SteerLink {
  const dot = text.indexOf(".");
  const version = text.slice(0, Math.max(dot, 0));
  if (/^\d+$/.test(version) && version !== currentVersion) {
    throw new FacetError("invalid_request", `This link was made by a newer Facet (link version ${version}).`, {
      fix: "Update Facet, or ask for the request as JSON.",
    });
  }
  try {
    if (version !== currentVersion) throw new RangeError("no version");
    const json = new TextDecoder("utf-8", { fatal: true }).decode(fromBase64Url(text.slice(dot + 1)));
    const packed: unknown = JSON.parse(json);
    refuseExcess(packed);
    return unpack(packedSchema.parse(packed));
  } catch (cause) {
    if (cause instanceof FacetError) throw cause;
    throw new FacetError("invalid_request", "This link is incomplete or was altered, so its request cannot be read.", {
      fix: "Copy the whole link again, or set the request up here.",
      cause,
    });
  }
}

/** The clamps that are sent: those that are solo where any is, else those that are not muted. */
export function activeClamps<T extends { muted: boolean; solo: boolean }>(clamps: readonly T[]): T[] {
  const solo = clamps.filter((clamp) => clamp.solo);
  return solo.length ? solo : clamps.filter((clamp) => !clamp.muted);
}

/** The link's sweep as the engine counts clamps, or undefined where its clamp is not sent or has no strength. */
function sentSweep({ sweep, clamps }: SteerLink): Sweep | undefined {
  const swept = sweep && clamps[sweep.clamp];
  if (!swept || swept.op === "ablate") return undefined;
  const clamp = activeClamps(clamps).indexOf(swept);
  return clamp < 0 ? undefined : { clamp, values: sweep.values };
}

/**
 * The engine's request. `dataUrlOf` gives an uploaded picture's bytes as a data URL; where it has none, `image_not_found`
 * says that the picture stayed in another browser.
 */
export function requestFromLink(link: SteerLink, dataUrlOf: (sha256: string) => string | undefined): GenerateRequest {
  const imageRef = ({ sha256, upload }: LinkedImage): ImageRef => {
    if (!upload) return { sha256 };
    const dataUrl = dataUrlOf(sha256);
    if (dataUrl) return { dataUrl };
    throw new FacetError("image_not_found", "The uploaded picture of this request is not in this browser.", {
      fix: "Upload it again, or pick another picture.",
    });
  };
  return generateRequestSchema.parse({
    dictionary: link.dictionary,
    version: link.version ?? undefined,
    messages: link.messages.map(({ role, content }) => ({
      role,
      content: content.map((part) => (part.type === "text" ? part : { type: "image", image: imageRef(part.image) })),
    })),
    sampling: link.sampling,
    interventions: activeClamps(link.clamps).map(({ muted: _muted, solo: _solo, ...intervention }) => intervention),
    mode: link.mode,
    controls: link.controls,
    alternatives: link.alternatives,
    sweep: sentSweep(link),
    watch: link.watch.length ? link.watch : undefined,
    activeFeatures: featuresOnToken,
  } satisfies GenerateRequest);
}

/** A link for a request made elsewhere; a picture given as bytes has no hash here and is left out. */
export function linkFromRequest(request: GenerateRequest): SteerLink {
  return {
    dictionary: request.dictionary,
    version: request.version ?? null,
    messages: request.messages.map(({ role, content }) => ({
      role,
      content: content.flatMap((part): LinkPart[] => {
        if (part.type === "text") return [part];
        return "sha256" in part.image ? [{ type: "image", image: { sha256: part.image.sha256, upload: false } }] : [];
      }),
    })),
    sampling: request.sampling,
    clamps: request.interventions.map((intervention) => ({ ...intervention, muted: false, solo: false })),
    mode: request.mode,
    controls: request.controls,
    alternatives: request.alternatives,
    sweep: request.sweep ?? null,
    watch: request.watch ?? [],
  };
}
