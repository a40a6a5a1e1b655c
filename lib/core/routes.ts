/** Every address of the app, built in one place. */

/** Whether this is the copy that `npm run export:static` writes: files on any host, no server behind them. */
export const isStatic = Boolean(process.env.NEXT_PUBLIC_FACET_STATIC);

/** Said of a dictionary whose model cannot be run. */
export const noEngineHere = isStatic ? "This copy holds no model for this dictionary" : "No engine on this server runs this dictionary";

/** The folder that such a copy lies in on its host (`/facet`), or nothing. Next.js puts it before pages by itself. */
const base = process.env.NEXT_PUBLIC_FACET_BASE ?? "";

const part = (text: string) => encodeURIComponent(text);

/** `<model>/<dictionary>` → its two parts. */
export function splitRef(ref: string): { model: string; dictionary: string } {
  const slash = ref.indexOf("/");
  return { model: ref.slice(0, slash), dictionary: ref.slice(slash + 1) };
}

/** A part of an address as it was meant; as it stands where it is no encoding of anything. */
const meant = (part: string) => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

/** `<model>/<dictionary>` from two parts of a page's address, which come encoded. The inverse of what `routes` writes. */
export function refOf({ model, dictionary }: { model: string; dictionary: string }): string {
  return `${meant(model)}/${meant(dictionary)}`;
}

function query(params: Record<string, string | number | undefined>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) if (value !== undefined && value !== "") search.set(key, String(value));
  const text = search.toString();
  return text ? `?${text}` : "";
}

const refPath = (ref: string) => {
  const { model, dictionary } = splitRef(ref);
  return `${part(model)}/${part(dictionary)}`;
};

/** A page of the copy: a folder with an index.html. What the server reads from a page's path is in the query there, as a host of files cannot route. */
const page = (path: string, params: Record<string, string | number | undefined>) => `${path}${isStatic ? "/" : ""}${query(params)}`;

export const routes = {
  home: () => "/",
  dictionary: (ref: string, params: Record<string, string | number | undefined> = {}) =>
    isStatic ? page("/list", { dictionary: ref, ...params }) : `/d/${refPath(ref)}${query(params)}`,
  /** `version`: first 12 hex digits of the dictionary's hash, for a pinned link. */
  feature: (ref: string, index: number, params: { v?: string; from?: string; image?: string; band?: string } = {}) =>
    isStatic ? page("/feature", { dictionary: ref, index, ...params }) : `/d/${refPath(ref)}/${index}${query(params)}`,
  image: (sha256: string, params: { dictionary?: string; feature?: number; region?: string } = {}) =>
    isStatic ? page("/image", { sha256, ...params }) : `/i/${sha256}${query(params)}`,
  /** The whole request is in `r` (see lib/core/steer-link). */
  steer: (params: Record<string, string | number | undefined> = {}) => page("/steer", params),
  /** A picture of one's own, looked at in this tab alone. */
  ownImage: (params: { dictionary?: string } = {}) => page("/try", params),
  /** The request is in `r` as the sandbox's, what is looked at in further keys (see lib/core/trace-link). */
  trace: (params: Record<string, string | number | undefined> = {}) => page("/trace", params),
  /** The guided stories, one at a time: `story` is its kind (lib/core/story). */
  stories: (params: { story?: string } = {}) => page("/stories", params),
  /** Saved experiments, searched by `q`. */
  experiments: (params: { q?: string } = {}) => page("/x", params),
  experiment: (id: string) => (isStatic ? page("/experiment", { id }) : `/x/${part(id)}`),
  embed: {
    experiment: (id: string) => `/embed/x/${part(id)}`,
    feature: (ref: string, index: number) => `/embed/d/${refPath(ref)}/${index}`,
  },
  api: {
    health: () => "/api/health",
    openapi: () => "/api/openapi.json",
    dictionaries: () => "/api/dictionaries",
    features: (params: Record<string, string | number | undefined>) => `/api/features${query(params)}`,
    /** The same list whole, as a file. */
    featuresCsv: (params: Record<string, string | number | undefined>) => `/api/features.csv${query(params)}`,
    histograms: (ref: string, v?: string) => `/api/histograms${query({ dictionary: ref, v })}`,
    feature: (ref: string, index: number, params: { v?: string } = {}) => `/api/features/${refPath(ref)}/${index}${query(params)}`,
    /** In a copy the address tells the host of files what the file is. */
    image: (sha256: string) => (isStatic ? `${base}/api/images/${sha256}.webp` : `/api/images/${sha256}`),
    imageInfo: (sha256: string) => `/api/images/${sha256}/info`,
    /** A page of catalogue images, for pickers. */
    images: (params: Record<string, string | number | undefined> = {}) => `/api/images${query(params)}`,
    /** Names and health of some features at once. */
    traits: (params: Record<string, string | number | undefined>) => `/api/traits${query(params)}`,
    analyse: () => "/api/analyse",
    /** Pictures on which some features fire in a painted region. */
    regionPictures: (params: Record<string, string | number | undefined>) => `/api/region-pictures${query(params)}`,
    /** What a tab needs to run a dictionary's model by itself. */
    engine: (ref: string) => `/api/engine${query({ dictionary: ref })}`,
    /** One of the files that it names, by its hash. */
    engineFile: (sha256: string, name: string) => `${base}/api/engine/files/${sha256}/${part(name)}`,
    /** The names of all features of a dictionary, in one answer. */
    engineNames: (ref: string) => `/api/engine/names${query({ dictionary: ref })}`,
    /** Of a copy alone, which has no server to draw these pages: what is on the home page, the stories, and what is around a feature in a list. */
    home: () => "/api/home",
    stories: () => "/api/stories",
    around: (params: Record<string, string | number | undefined>) => `/api/around${query(params)}`,
    steer: () => "/api/steer",
    attribute: () => "/api/attribute",
    experiments: (params: Record<string, string | number | undefined> = {}) => `/api/experiments${query(params)}`,
    experiment: (id: string) => `/api/experiments/${part(id)}`,
    /** A picture that shows the experiment, or the feature, where a link to it is unfurled: 1200 × 630, PNG. */
    experimentCard: (id: string) => `/api/experiments/${part(id)}/card`,
    featureCard: (ref: string, index: number) => `/api/features/${refPath(ref)}/${index}/card`,
  },
} as const;

/** A page's address as the address bar has it, which the router's own do not say. */
export const barAddress = (path: string): string => `${base}${path}`;

/** A page's address as other people open it. In a browser alone. */
export const absolute = (path: string): string => `${window.location.origin}${base}${path}`;

/** A file that lies beside the pages. */
export const fileAddress = (name: string): string => `${base}/${name}`;
