/** Every address of the app, built in one place. */
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

export const routes = {
  home: () => "/",
  dictionary: (ref: string, params: Record<string, string | number | undefined> = {}) => `/d/${refPath(ref)}${query(params)}`,
  /** `version`: first 12 hex digits of the dictionary's hash, for a pinned link. */
  feature: (ref: string, index: number, params: { v?: string; from?: string; image?: string; band?: string } = {}) =>
    `/d/${refPath(ref)}/${index}${query(params)}`,
  image: (sha256: string, params: { dictionary?: string; feature?: number; region?: string } = {}) => `/i/${sha256}${query(params)}`,
  /** The whole request is in `r` (see lib/core/steer-link). */
  steer: (params: Record<string, string | number | undefined> = {}) => `/steer${query(params)}`,
  /** A picture of one's own, looked at in this tab alone. */
  ownImage: (params: { dictionary?: string } = {}) => `/try${query(params)}`,
  /** The request is in `r` as the sandbox's, what is looked at in further keys (see lib/core/trace-link). */
  trace: (params: Record<string, string | number | undefined> = {}) => `/trace${query(params)}`,
  /** The guided stories, one at a time: `story` is its kind (lib/core/story). */
  stories: (params: { story?: string } = {}) => `/stories${query(params)}`,
  /** Saved experiments, searched by `q`. */
  experiments: (params: { q?: string } = {}) => `/x${query(params)}`,
  experiment: (id: string) => `/x/${part(id)}`,
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
    image: (sha256: string) => `/api/images/${sha256}`,
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
    engineFile: (sha256: string, name: string) => `/api/engine/files/${sha256}/${part(name)}`,
    /** The names of all features of a dictionary, in one answer. */
    engineNames: (ref: string) => `/api/engine/names${query({ dictionary: ref })}`,
    steer: () => "/api/steer",
    attribute: () => "/api/attribute",
    experiments: (params: Record<string, string | number | undefined> = {}) => `/api/experiments${query(params)}`,
    experiment: (id: string) => `/api/experiments/${part(id)}`,
    /** A picture that shows the experiment, or the feature, where a link to it is unfurled: 1200 × 630, PNG. */
    experimentCard: (id: string) => `/api/experiments/${part(id)}/card`,
    featureCard: (ref: string, index: number) => `/api/features/${refPath(ref)}/${index}/card`,
  },
} as const;
