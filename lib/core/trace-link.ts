/**
 * The trace page's address: the request as the sandbox's links have it (`r`), and what is looked at: whose answer, which token of it, compared with what,
 * which of its contributions, what is mended. Defaults are left out, so that the same view always has the same address. The keys are kept: links to
 * traces stand in saved experiments (docs/trace.md lists them).
 */
import { attributionLimits } from "./attribution";
import { isStatic, routes } from "./routes";
import { maxLinkLength, maxSentLength } from "./steer-link";

/**
 * What is explained of a token: how much likelier it is than another (`against`, by the other's id), the same against its likeliest alternative
 * (`usual`), its logit alone, or the log-probability of the whole answer.
 */
export type TraceMetric = { type: "usual" } | { type: "against"; token: number } | { type: "logit" } | { type: "answer" };

export const modalities = ["all", "image", "text"] as const;
export type Modality = (typeof modalities)[number];

/** Measured properties of a feature by which a ranking may leave it out. */
export const leftOutKinds = ["always_on", "sink", "positional"] as const;
export type LeftOutKind = (typeof leftOutKinds)[number];

export const traceViews = ["bars", "graph", "mend"] as const;

/** Control arms whose states no clamps give, see `attributionControlSchema`. */
export const traceControls = ["negated", "random"] as const;
export type TraceControl = (typeof traceControls)[number];

export interface TraceView {
  /** The answer that is explained is this control's of the request; null for the steered one. */
  control: TraceControl | null;
  /** Place in the answer, from 0; null while none is chosen. */
  token: number | null;
  metric: TraceMetric;
  /** Contributions at which positions. */
  where: Modality;
  /** Together by concept class. */
  grouped: boolean;
  without: LeftOutKind[];
  /** The feature that is held open. */
  feature: number | null;
  view: (typeof traceViews)[number];
  /** Steps of the integrated gradient; null for the plain one. */
  steps: number | null;
  /** Which of several pictures the heat is shown on, from 0. */
  picture: number;
  /** "Mend it": the right answer as it was typed, and further questions of the panel, one a line. */
  right: string;
  asks: string;
}

export const usualView: TraceView = {
  control: null,
  token: null,
  metric: { type: "usual" },
  where: "all",
  grouped: false,
  without: [],
  feature: null,
  view: "bars",
  steps: null,
  picture: 0,
  right: "",
  asks: "",
};

/** Longest texts that an address holds, in characters. */
export const longestRight = 200;
export const longestAsks = 1_000;

const wholeNumber = (text: string | null | undefined, most: number): number | null =>
  text && /^\d{1,9}$/.test(text) && Number(text) <= most ? Number(text) : null;

function readMetric(text: string | null | undefined): TraceMetric {
  if (text === "logit" || text === "answer") return { type: text };
  const token = wholeNumber(text, 999_999_999);
  return token === null ? { type: "usual" } : { type: "against", token };
}

const writeMetric = (metric: TraceMetric): string | undefined =>
  metric.type === "usual" ? undefined : metric.type === "against" ? String(metric.token) : metric.type;

function readSteps(text: string | null | undefined): number | null {
  const steps = wholeNumber(text, attributionLimits.steps);
  return steps !== null && steps >= 2 ? steps : null;
}

const among = <T extends string>(known: readonly T[], text: string | null | undefined): T | null =>
  known.find((one) => one === text) ?? null;

/** What an address asks to see. `get` gives a query key's text; what it names that does not exist is left at its default. */
export function readTraceView(get: (key: string) => string | null | undefined): TraceView {
  const without = (get("without") ?? "").split(",");
  return {
    control: among(traceControls, get("control")),
    token: wholeNumber(get("token"), 100_000),
    metric: readMetric(get("against")),
    where: among(modalities, get("where")) ?? usualView.where,
    grouped: get("group") === "concept",
    without: leftOutKinds.filter((kind) => without.includes(kind)),
    feature: wholeNumber(get("feature"), 999_999_999),
    view: among(traceViews, get("view")) ?? usualView.view,
    steps: readSteps(get("steps")),
    picture: wholeNumber(get("picture"), 1_000) ?? usualView.picture,
    right: (get("right") ?? "").slice(0, longestRight),
    asks: (get("asks") ?? "").slice(0, longestAsks),
  };
}

/** The query keys of a view, without those that say what is usual. */
export function traceViewParams(view: TraceView): Record<string, string | number | undefined> {
  return {
    control: view.control ?? undefined,
    token: view.token ?? undefined,
    against: writeMetric(view.metric),
    where: view.where === usualView.where ? undefined : view.where,
    group: view.grouped ? "concept" : undefined,
    without: view.without.length ? leftOutKinds.filter((kind) => view.without.includes(kind)).join(",") : undefined,
    feature: view.feature ?? undefined,
    view: view.view === usualView.view ? undefined : view.view,
    steps: view.steps ?? undefined,
    picture: view.picture === usualView.picture ? undefined : view.picture,
    right: view.right || undefined,
    asks: view.asks || undefined,
  };
}

/**
 * The page's address for a request's link text (see `encodeSteerLink`) and a view. A long request stands behind the `#`, as the sandbox's does; one too
 * long for any address is left out. `unsent`: it stands there however short it is, and what was typed to mend it is left out.
 */
export function traceHref(dictionary: string, link: string, view: Partial<TraceView> = {}, unsent = isStatic): string {
  const params = traceViewParams({ ...usualView, ...view, ...(unsent && { right: "", asks: "" }) });
  if (link.length <= maxSentLength && !unsent) return routes.trace({ dictionary, r: link, ...params });
  const bare = routes.trace({ dictionary, ...params });
  return link.length <= maxLinkLength ? `${bare}#r=${link}` : bare;
}
