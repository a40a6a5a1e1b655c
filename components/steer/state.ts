/** What the sandbox is about to ask: a pure reducer over the request in the making, and what still keeps it from being run. */
import type { ErrorCode } from "@/lib/core/errors";
import { type GenerateRequest, limits, type Sampling, type Scope } from "@/lib/core/protocol";
import { activeClamps, type LinkedClamp, type LinkedImage, type SteerLink } from "@/lib/core/steer-link";
import { strengths } from "./strengths";
import { followPictures, picturesOf, withPicture } from "./turn-pictures";

export interface Turn {
  id: number;
  role: "user" | "assistant";
  /** Pictures precede the words of their turn. */
  images: LinkedImage[];
  text: string;
}

export type Clamp = LinkedClamp & { id: number };
type Control = GenerateRequest["controls"][number];

/** Which clamp is run at which strengths, by the clamp's id. */
export interface Dose {
  clamp: number;
  values: number[];
}

export interface SteerState extends Omit<SteerLink, "messages" | "clamps" | "sweep"> {
  /** The first is the user's, roles alternate, the last is the user's. */
  turns: Turn[];
  clamps: Clamp[];
  /** Clamps of dictionaries left behind, put back when one returns to them: an index means nothing elsewhere. */
  shelf: Record<string, Clamp[]>;
  sweep: Dose | null;
  nextId: number;
}

export type SteerAction =
  | { type: "restore"; link: SteerLink }
  | { type: "dictionary"; ref: string; version: string | null }
  | { type: "version"; version: string | null }
  /** `at`: which of the turn's pictures it replaces (the first where left out); beyond the last, it is added. */
  | { type: "image-set"; turn: number; image: LinkedImage; at?: number }
  | { type: "image-remove"; turn: number; sha256: string }
  | { type: "text"; turn: number; text: string }
  | { type: "follow-up"; answer: string }
  | { type: "exchange-remove"; turn: number }
  | { type: "sampling"; patch: Partial<Sampling> }
  | { type: "mode"; mode: GenerateRequest["mode"] }
  | { type: "control"; control: Control; on: boolean }
  | { type: "clamp-add"; clamp: LinkedClamp }
  | { type: "clamp-change"; id: number; patch: Partial<Omit<LinkedClamp, "feature">> }
  /** Sets the clamp, where it only changed or removed, and ablates other features in its scope. */
  | { type: "swap"; id: number; ablate: number[] }
  | { type: "clamp-remove"; id: number }
  | { type: "clamps-remove"; ids: number[] }
  | { type: "clamp-move"; id: number; by: -1 | 1 }
  | { type: "clamps-clear" }
  /** A dose curve of one clamp, which needs the baseline beside it; null for none. */
  | { type: "sweep"; sweep: Dose | null }
  | { type: "watch"; words: string[] };

export const controlOrder = ["baseline", "reconstruction", "negated", "random"] as const satisfies readonly Control[];

/** What one message holds beside its words. */
export const picturesPerTurn = 15;

/** Strengths the slider reaches, in units of the feature's own maximum (or as a factor for `scale`). */
export const strengthRange = { min: -4, max: 8 } as const;

/** A request that asks nothing yet. */
export function emptyLink(dictionary: string, version: string | null): SteerLink {
  return {
    dictionary,
    version,
    messages: [{ role: "user", content: [{ type: "text", text: "" }] }],
    sampling: { maxTokens: 48, temperature: 0, topP: 1, seed: 0 },
    clamps: [],
    mode: "delta",
    controls: ["baseline"],
    alternatives: 5,
    sweep: null,
    watch: [],
  };
}

/**
 * A clamp to start from: on the picture; a feature that lives on words (less than a third of its activation on pictures) everywhere, since it
 * would find nothing on the picture to change. A feature that never fired has no maximum to count in.
 */
export function startingClamp(feature: number, imageShare: number | null, maxActivation: number | null = null): LinkedClamp {
  const onWords = imageShare !== null && imageShare < 1 / 3;
  return {
    feature,
    op: "set",
    value: onWords ? strengths.everywhere : strengths.onPicture,
    unit: maxActivation === 0 ? "raw" : "max",
    scope: { type: onWords ? "all" : "image" },
    muted: false,
    solo: false,
  };
}

export function fromLink(link: SteerLink, shelf: SteerState["shelf"] = {}): SteerState {
  let nextId = 1;
  const turns: Turn[] = link.messages.map(({ role, content }) => ({
    id: nextId++,
    role,
    images: content.flatMap((part) => (part.type === "image" ? [part.image] : [])),
    text: content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join(" "),
  }));
  if (turns.at(-1)?.role !== "user") turns.push({ id: nextId++, role: "user", images: [], text: "" });
  const clamps = link.clamps.map((clamp) => ({ ...clamp, id: nextId++ }));
  const { messages: _messages, ...rest } = link;
  const swept = link.sweep && clamps[link.sweep.clamp];
  return { ...rest, turns, clamps, shelf, nextId, sweep: link.sweep && swept ? { clamp: swept.id, values: link.sweep.values } : null };
}

export function toLink(state: SteerState): SteerLink {
  const { turns, clamps, sweep, shelf: _shelf, nextId: _nextId, ...rest } = state;
  const swept = clamps.findIndex(({ id }) => id === sweep?.clamp);
  return {
    ...rest,
    sweep: sweep && swept >= 0 ? { clamp: swept, values: sweep.values } : null,
    messages: turns.map(({ role, images, text }) => ({
      role,
      content: [...images.map((image) => ({ type: "image" as const, image })), { type: "text" as const, text }],
    })),
    clamps: clamps.map(({ id: _id, ...clamp }) => clamp),
  };
}

const editTurn = (state: SteerState, id: number, edit: (turn: Turn) => Turn): SteerState => ({
  ...state,
  turns: state.turns.map((turn) => (turn.id === id ? edit(turn) : turn)),
});

/** Other turns, whose pictures may have other places now. */
const withTurns = (state: SteerState, turns: Turn[]): SteerState => ({
  ...state,
  turns,
  clamps: followPictures(state.clamps, state.turns, turns),
});

const insideLimits = (value: number) => Math.min(limits.value, Math.max(-limits.value, value));

export function steerReducer(state: SteerState, action: SteerAction): SteerState {
  switch (action.type) {
    case "restore":
      return fromLink(action.link, state.shelf);
    case "dictionary": {
      if (action.ref === state.dictionary) return { ...state, version: action.version };
      const { [action.ref]: returning = [], ...others } = state.shelf;
      return {
        ...state,
        dictionary: action.ref,
        version: action.version,
        clamps: returning,
        shelf: state.clamps.length ? { ...others, [state.dictionary]: state.clamps } : others,
      };
    }
    case "version":
      return { ...state, version: action.version };
    case "image-set":
      return withTurns(
        state,
        editTurn(state, action.turn, (turn) =>
          turn.role === "user"
            ? { ...turn, images: withPicture(turn.images, action.image, action.at ?? 0).slice(0, picturesPerTurn) }
            : turn,
        ).turns,
      );
    case "image-remove":
      return withTurns(
        state,
        editTurn(state, action.turn, (turn) => ({ ...turn, images: turn.images.filter((image) => image.sha256 !== action.sha256) })).turns,
      );
    case "text":
      return editTurn(state, action.turn, (turn) => ({ ...turn, text: action.text.slice(0, limits.textLength) }));
    case "follow-up":
      if (state.turns.length + 2 > limits.messages) return state;
      return {
        ...state,
        turns: [
          ...state.turns,
          { id: state.nextId, role: "assistant", images: [], text: action.answer },
          { id: state.nextId + 1, role: "user", images: [], text: "" },
        ],
        nextId: state.nextId + 2,
      };
    case "exchange-remove": {
      const at = state.turns.findIndex((turn) => turn.id === action.turn);
      const from = state.turns[at]?.role === "assistant" ? at : at - 1;
      return from < 1 ? state : withTurns(state, state.turns.toSpliced(from, 2));
    }
    case "sampling":
      return { ...state, sampling: { ...state.sampling, ...action.patch } };
    case "mode":
      return { ...state, mode: action.mode };
    case "control": {
      const wanted = new Set(state.controls);
      if (action.on) wanted.add(action.control);
      else wanted.delete(action.control);
      return { ...state, controls: controlOrder.filter((control) => wanted.has(control)) };
    }
    case "clamp-add":
      if (state.clamps.length >= limits.clamps) return state;
      return {
        ...state,
        clamps: [...state.clamps, { ...action.clamp, value: insideLimits(action.clamp.value), id: state.nextId }],
        nextId: state.nextId + 1,
      };
    case "clamp-change": {
      const { patch } = action;
      const checked = { ...patch, ...(patch.value !== undefined && { value: insideLimits(patch.value) }) };
      if (Number.isNaN(checked.value)) return state;
      // To solo a muted clamp is to want to hear it.
      if (checked.solo) checked.muted = false;
      return { ...state, clamps: state.clamps.map((clamp) => (clamp.id === action.id ? { ...clamp, ...checked } : clamp)) };
    }
    case "swap": {
      const at = state.clamps.findIndex((clamp) => clamp.id === action.id);
      const clamp = state.clamps[at];
      if (!clamp) return state;
      const sets = clamp.op === "set" && clamp.value > 0;
      const set: Clamp = { ...clamp, muted: false, ...(!sets && { op: "set", value: strengths.onPicture, unit: "max" }) };
      const ablations = action.ablate.slice(0, limits.clamps - state.clamps.length).map(
        (feature, i): Clamp => ({
          feature,
          op: "ablate",
          value: 0,
          unit: "max",
          scope: clamp.scope,
          muted: false,
          solo: clamp.solo,
          id: state.nextId + i,
        }),
      );
      return { ...state, clamps: state.clamps.toSpliced(at, 1, set, ...ablations), nextId: state.nextId + ablations.length };
    }
    case "clamps-remove":
      return { ...state, clamps: state.clamps.filter((clamp) => !action.ids.includes(clamp.id)) };
    case "clamp-remove":
      return { ...state, clamps: state.clamps.filter((clamp) => clamp.id !== action.id) };
    case "clamp-move": {
      const at = state.clamps.findIndex((clamp) => clamp.id === action.id);
      const to = at + action.by;
      const moved = state.clamps[at];
      if (!moved || to < 0 || to >= state.clamps.length) return state;
      return { ...state, clamps: state.clamps.toSpliced(at, 1).toSpliced(to, 0, moved) };
    }
    case "clamps-clear":
      return { ...state, clamps: [] };
    case "sweep": {
      const compared = action.sweep ? steerReducer(state, { type: "control", control: "baseline", on: true }) : state;
      return { ...compared, sweep: action.sweep };
    }
    case "watch":
      return { ...state, watch: [...new Set(action.words)].slice(0, limits.watchedWords) };
  }
}

/** How many clamps would be sent. */
export const activeClampCount = (state: SteerState) => activeClamps(state.clamps).length;

/** Whether two scopes can cover the same position. */
export function scopesMeet(a: Scope, b: Scope): boolean {
  if (a.type === "all" || b.type === "all") return true;
  if (a.type === "region" && b.type === "region") return a.image === b.image && a.cells.some((cell) => b.cells.includes(cell));
  const kind = (scope: Scope) => (scope.type === "region" ? "image" : scope.type);
  return kind(a) === kind(b);
}

export interface Problem {
  code: ErrorCode;
  message: string;
  /** Where on the page it is to be mended. */
  at: { part: "prompt" } | { part: "picture"; turn: number } | { part: "clamp"; id: number } | { part: "clamps" };
}

/** What the engine would refuse, said before it is asked. `hasUpload` tells whether an uploaded picture's bytes are in this browser. */
export function findProblems(state: SteerState, hasUpload: (sha256: string) => boolean): Problem[] {
  const problems: Problem[] = [];
  for (const turn of state.turns) {
    for (const image of turn.images) {
      if (image.upload && !hasUpload(image.sha256)) {
        const message = "The picture of this request was uploaded in another browser and is not here. Upload it again, or pick another.";
        problems.push({ code: "image_not_found", message, at: { part: "picture", turn: turn.id } });
      }
    }
  }
  if (!state.turns.at(-1)?.text.trim()) problems.push({ code: "prompt_empty", message: "Type a question.", at: { part: "prompt" } });
  const pictures = picturesOf(state.turns).length;
  const active = activeClamps(state.clamps);
  for (const [i, clamp] of active.entries()) {
    const needed = clamp.scope.type === "region" ? clamp.scope.image + 1 : clamp.scope.type === "image" ? 1 : 0;
    if (pictures < needed) {
      const message =
        pictures === 0
          ? `#${clamp.feature} is clamped on the picture, but there is none. Add a picture or choose another scope.`
          : `#${clamp.feature} is clamped on cells of picture ${needed}, but there ${pictures === 1 ? "is 1 picture" : `are ${pictures} pictures`}. Add one or choose another scope.`;
      problems.push({ code: "clamp_nowhere", message, at: { part: "clamp", id: clamp.id } });
    }
    if (active.slice(0, i).some((other) => other.feature === clamp.feature && scopesMeet(other.scope, clamp.scope))) {
      const message = `#${clamp.feature} is clamped twice in the same place. Keep one, or give them scopes that do not meet.`;
      problems.push({ code: "clamp_overlap", message, at: { part: "clamp", id: clamp.id } });
    }
  }
  return problems;
}
