/**
 * What a copy without a server answers in a server's place: for each address that a page reads, the JSON that the server's route would have given,
 * made in the tab from the copy's files (lib/static/write.ts).
 */
import type { z } from "zod";
import { engineQuerySchema } from "@/lib/api/engine";
import { experimentParamsSchema, experimentsQuerySchema } from "@/lib/api/experiments";
import { featureParamsSchema, featureQuerySchema } from "@/lib/api/feature";
import { traitsQuerySchema } from "@/lib/api/feature-traits";
import { histogramsQuerySchema } from "@/lib/api/histograms";
import { imageParamsSchema, imagesQuerySchema } from "@/lib/api/images";
import { parseInput, parseParams } from "@/lib/api/read-json";
import { regionPicturesQuerySchema } from "@/lib/api/region-pictures";
import { FacetError } from "@/lib/core/errors";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { analyseRequestSchema } from "@/lib/core/protocol";
import { Copy } from "./copy";
import { DataFiles, fetchFile, type ReadFile } from "./data-files";

export interface AnswerInit {
  signal?: AbortSignal;
  /** `GET` by default. */
  method?: string;
  /** JSON. */
  body?: string;
}

interface Asked {
  copy: Copy;
  /** The varying parts of the path. */
  parts: string[];
  params: URLSearchParams;
  body: unknown;
  signal: AbortSignal | undefined;
}

type Route = [method: "GET" | "POST", path: RegExp, answer: (asked: Asked) => unknown];

const indexSchema = featureParamsSchema.pick({ index: true });
const fields = <S extends z.ZodObject>(schema: S, { params }: Asked): z.infer<S> => parseParams(schema, params);

/** Nothing may be asked in the address's query. */
function noQuery({ params }: Asked): void {
  for (const [key] of params) {
    throw new FacetError("unknown_query_key", `"${key.slice(0, 60)}" is not a query key of this address; known: none.`);
  }
}

function queryOf({ params }: Asked) {
  const query = parseFeatureQuery(params);
  parseInput(histogramsQuerySchema, { dictionary: query.dictionary });
  return query;
}

const inTab = (what: string) =>
  new FacetError("engine_unavailable", `This is a copy of a catalogue without a server: it cannot ${what} elsewhere than in this tab.`, {
    fix: "Let the model run in this tab, where its files come with the copy; or open the catalogue on a machine that runs Facet.",
  });

const word = "([^/]+)";
const path = (pattern: string) => new RegExp(`^/api/${pattern}$`);

const routes: Route[] = [
  [
    "GET",
    path("dictionaries"),
    (asked) => {
      noQuery(asked);
      return asked.copy.dictionaries();
    },
  ],
  ["GET", path("features"), (asked) => asked.copy.features(queryOf(asked), asked.signal)],
  [
    "GET",
    path("home"),
    (asked) => {
      noQuery(asked);
      return asked.copy.home();
    },
  ],
  [
    "GET",
    path("stories"),
    (asked) => {
      noQuery(asked);
      return asked.copy.stories(asked.signal);
    },
  ],
  [
    "GET",
    path("around"),
    (asked) => {
      const params = new URLSearchParams(asked.params);
      params.delete("index");
      const { index } = parseInput(indexSchema, { index: asked.params.get("index") ?? "" });
      return asked.copy.around(queryOf({ ...asked, params }), index);
    },
  ],
  [
    "GET",
    path(`features/${word}/${word}/${word}`),
    (asked) => {
      const [model, dictionary, index] = asked.parts;
      const given = parseInput(featureParamsSchema, { model, dictionary, index });
      const { v } = fields(featureQuerySchema, asked);
      return asked.copy.feature(`${given.model}/${given.dictionary}`, given.index, v, asked.signal);
    },
  ],
  [
    "GET",
    path("histograms"),
    (asked) => {
      const { dictionary, v } = fields(histogramsQuerySchema, asked);
      return asked.copy.histograms(dictionary, v, asked.signal);
    },
  ],
  [
    "GET",
    path("traits"),
    (asked) => {
      const { dictionary, v, indices } = fields(traitsQuerySchema, asked);
      return asked.copy.traits(dictionary, indices, v);
    },
  ],
  ["GET", path("engine"), (asked) => asked.copy.engine(fields(engineQuerySchema, asked).dictionary, asked.signal)],
  ["GET", path("engine/names"), (asked) => asked.copy.names(fields(engineQuerySchema, asked).dictionary)],
  ["GET", path("images"), (asked) => asked.copy.images(fields(imagesQuerySchema, asked))],
  [
    "GET",
    path(`images/${word}/info`),
    (asked) => {
      noQuery(asked);
      return asked.copy.imageInfo(parseInput(imageParamsSchema, { sha256: asked.parts[0] }).sha256);
    },
  ],
  ["GET", path("region-pictures"), (asked) => asked.copy.regionPictures(fields(regionPicturesQuerySchema, asked), asked.signal)],
  ["POST", path("analyse"), (asked) => asked.copy.analysis(parseInput(analyseRequestSchema, asked.body), asked.signal)],
  ["GET", path("experiments"), (asked) => asked.copy.experiments(fields(experimentsQuerySchema, asked))],
  [
    "GET",
    path(`experiments/${word}`),
    (asked) => {
      noQuery(asked);
      return asked.copy.experiment(parseInput(experimentParamsSchema, { id: asked.parts[0] }).id, asked.signal);
    },
  ],
  [
    "POST",
    path("experiments"),
    () => {
      throw new FacetError("saving_off", "This is a copy without a server: no experiment can be saved in it.");
    },
  ],
  [
    "POST",
    path("(steer|attribute)"),
    () => {
      throw inTab("run the model");
    },
  ],
];

function bodyOf(body: string | undefined): unknown {
  try {
    return JSON.parse(body ?? "");
  } catch (cause) {
    throw new FacetError("invalid_request", "The request's body is not JSON.", { fix: "Send a JSON object.", cause });
  }
}

const meant = (part: string) => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

/** Answers from the files that `read` gives. */
export function answerFrom(read: ReadFile): (url: string, init?: AnswerInit) => Promise<unknown> {
  const copy = new Copy(new DataFiles(read));
  return async (url, { signal, method = "GET", body } = {}) => {
    // The origin plays no part: addresses of this app have none.
    const { pathname, searchParams } = new URL(url, "http://copy.invalid");
    const at = routes.filter(([, pattern]) => pattern.test(pathname));
    if (at.length === 0) throw new FacetError("not_found", `The API has nothing at ${pathname.slice(0, 120)}.`);
    const route = at.find(([allowed]) => allowed === method);
    if (!route) throw new FacetError("method_not_allowed", `${pathname.slice(0, 120)} is not asked with ${method}.`);
    const [, pattern, answer] = route;
    const parts = (pattern.exec(pathname) ?? []).slice(1).map(meant);
    return answer({ copy, parts, params: searchParams, body: method === "POST" ? bodyOf(body) : undefined, signal });
  };
}

let own: ReturnType<typeof answerFrom> | undefined;

/**
 * The answer to one of our own addresses (`/api/…`, as `routes.api` writes it, without the copy's own path), from the copy that this page lies in.
 * Throws the errors of the server's route; what a copy cannot do, as saving, with a sentence that says so; `catalogue_unreachable` where a
 * file of the copy cannot be read.
 */
export async function answer(url: string, init: AnswerInit = {}): Promise<unknown> {
  own ??= answerFrom(fetchFile);
  return own(url, init);
}
