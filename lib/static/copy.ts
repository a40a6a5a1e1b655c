/** The catalogue of a static copy: each question that a page asks of a server, answered from files. */
import type { ExperimentPage, ExperimentsQuery } from "@/lib/api/experiments";
import type { FeatureTraits } from "@/lib/api/feature-traits";
import type { ImagePage, ImagesQuery } from "@/lib/api/images";
import { FacetError } from "@/lib/core/errors";
import type { Experiment } from "@/lib/core/experiment";
import type { FeatureQuery } from "@/lib/core/feature-query";
import type { AnalyseRequest } from "@/lib/core/protocol";
import type { Analysis, Dictionary, FeatureCard, FeatureDetail, FeaturePage, Histograms, ImageInfo } from "@/lib/core/records";
import type { DataFiles } from "./data-files";
import { type FeatureTable, readTable } from "./feature-table";
import {
  type CardFile,
  type DictionariesFile,
  type ExperimentsFile,
  type FeatureFile,
  files,
  type ImagesFile,
  type ListFile,
} from "./layout";
import { listPage, listRows } from "./list-page";
import type { RegionQuery } from "./regions";
import { searchRegions } from "./regions";
import { searchFeatures } from "./search-features";
import { textSearch } from "./text-search";

const itself = <T>(value: T) => value;

/** What every list says of a feature. */
const nameOf = ({ index, label, concept, density, alwaysOn, sink, maxActivation }: FeatureCard) => ({
  index,
  label,
  concept,
  density,
  alwaysOn,
  sink,
  maxActivation,
});

export class Copy {
  constructor(private readonly data: DataFiles) {}

  dictionaries(): Promise<DictionariesFile> {
    return this.data.keep(files.dictionaries(), itself<DictionariesFile>);
  }

  /** Throws `dictionary_not_found`, and `version_mismatch` for a version that the copy lacks: it has one of each dictionary. */
  async #locate(ref: string, version?: string, of: (dictionary: Dictionary) => string[] = ({ version, sha256 }) => [version, sha256]) {
    const dictionary = (await this.dictionaries()).items.find((one) => one.ref === ref);
    if (!dictionary) throw new FacetError("dictionary_not_found", `The catalogue has no dictionary "${ref.slice(0, 200)}".`);
    if (version === undefined || of(dictionary).some((key) => key.startsWith(version))) return dictionary;
    throw new FacetError(
      "version_mismatch",
      `This link names version ${version.slice(0, 12)} of ${ref}; the catalogue has ${dictionary.version.slice(0, 12)}.`,
    );
  }

  #table(ref: string): Promise<FeatureTable> {
    return this.data.keep(files.list(ref), (file: ListFile) => readTable(file));
  }

  async features(query: FeatureQuery, signal?: AbortSignal): Promise<FeaturePage> {
    const dictionary = await this.#locate(query.dictionary, query.version);
    const table = await this.#table(dictionary.ref);
    const found = await searchFeatures(this.data, dictionary, table, query.q);
    return listPage(table, query, found, (index) => this.data.get<CardFile>(files.card(dictionary.ref, index), signal));
  }

  /** The features before and after one in a list; null where there is none, both where the list does not hold it. */
  async around(query: FeatureQuery, index: number): Promise<{ previous: number | null; next: number | null; total: number }> {
    const dictionary = await this.#locate(query.dictionary, query.version);
    const table = await this.#table(dictionary.ref);
    const list = listRows(table, query, await searchFeatures(this.data, dictionary, table, query.q));
    const place = list.findIndex((row) => row.index === index);
    const [previous, next] = place < 0 ? [] : [list[place - 1], list[place + 1]];
    return { previous: previous?.index ?? null, next: next?.index ?? null, total: list.length };
  }

  /** As they were written. */
  home(): Promise<unknown> {
    return this.data.keep(files.home(), itself<unknown>);
  }

  stories(signal?: AbortSignal): Promise<unknown> {
    return this.data.get(files.stories(), signal);
  }

  async feature(ref: string, index: number, version?: string, signal?: AbortSignal): Promise<FeatureDetail> {
    const { examples: _, ...dictionary } = await this.#locate(ref, version);
    if (!(await this.#table(ref)).rowOf.has(index)) {
      throw new FacetError("feature_not_found", `${ref} has the features 0 to ${dictionary.numLatents - 1}; there is no ${index}.`);
    }
    return { dictionary, ...(await this.data.get<FeatureFile>(files.feature(ref, index), signal)) };
  }

  async histograms(ref: string, version?: string, signal?: AbortSignal): Promise<Histograms> {
    await this.#locate(ref, version);
    return this.data.get(files.histograms(ref), signal);
  }

  async traits(ref: string, indices: readonly number[], weights?: string): Promise<{ items: FeatureTraits[] }> {
    await this.#locate(ref, weights, ({ sha256 }) => [sha256]);
    const { rowOf, cards, positional } = await this.#table(ref);
    const rows = [...new Set(indices)].flatMap((index) => rowOf.get(index) ?? []).sort((a, b) => a - b);
    return { items: rows.map((row) => ({ ...nameOf(cards[row] as FeatureCard), positional: positional[row] === true })) };
  }

  /** Null for a dictionary whose model the copy does not bring. */
  async engine(ref: string, signal?: AbortSignal): Promise<unknown> {
    return this.data.find(files.engine(ref), signal);
  }

  async names(ref: string) {
    const { sha256 } = await this.#locate(ref);
    return { dictionary: ref, sha256, items: (await this.#table(ref)).cards.map(nameOf) };
  }

  #images(): Promise<ImagesFile> {
    return this.data.keep(files.images(), itself<ImagesFile>);
  }

  async images({ q, limit, cursor }: ImagesQuery): Promise<ImagePage> {
    if (cursor !== null && !/^\d{1,9}$/.test(cursor)) throw new FacetError("invalid_request", "The cursor is not one of this API.");
    const { items } = await this.#images();
    const has = textSearch(q);
    const from = cursor === null ? 0 : Number(cursor);
    const page: ImageInfo[] = [];
    for (let i = from; i < items.length; i++) {
      const info = items[i] as ImageInfo;
      if (!has(info.caption ?? "")) continue;
      // The cursor is the place of the last picture of the page, counted from 1.
      if (page.length === limit) return { items: page, next: String(items.indexOf(page.at(-1) as ImageInfo) + 1) };
      page.push(info);
    }
    return { items: page, next: null };
  }

  async imageInfo(sha256: string): Promise<ImageInfo> {
    const { items, others } = await this.#images();
    const info = items.find((one) => one.sha256 === sha256) ?? others.find((one) => one.sha256 === sha256);
    if (!info) throw new FacetError("image_not_found", `The catalogue has no image ${sha256.slice(0, 12)}….`);
    return info;
  }

  async regionPictures(query: RegionQuery, signal?: AbortSignal) {
    await this.#locate(query.dictionary);
    const table = await this.#table(query.dictionary);
    const { items } = await this.#images();
    return searchRegions(query, table, items, (index) => this.data.get<FeatureFile>(files.feature(query.dictionary, index), signal));
  }

  /** The stored examples on one of the catalogue's pictures. Throws `engine_unavailable` for one that was uploaded. */
  async analysis({ dictionary: ref, image, limit }: AnalyseRequest, signal?: AbortSignal): Promise<Analysis> {
    const dictionary = await this.#locate(ref);
    if (!("sha256" in image)) {
      throw new FacetError(
        "engine_unavailable",
        "This is a copy of a catalogue without a server: it cannot look at a new picture elsewhere than in this tab.",
        {
          fix: "Look at it in this tab, where the model's files come with the copy; or pick a picture of the catalogue.",
        },
      );
    }
    await this.imageInfo(image.sha256);
    const { items, stored } = await this.#images();
    const place = items.findIndex(({ sha256 }) => sha256 === image.sha256);
    if (stored[ref]?.[place] !== "1") {
      const { rows, cols } = dictionary.model.grid ?? { rows: 0, cols: 0 };
      return { dictionary: ref, source: "catalogue", rows, cols, total: 0, features: [] };
    }
    const analysis = await this.data.get<Analysis>(files.onImage(ref, image.sha256), signal);
    return { ...analysis, features: analysis.features.slice(0, limit) };
  }

  async experiments({ q, limit, cursor }: ExperimentsQuery): Promise<ExperimentPage> {
    if (cursor !== null && !/^\d{1,15}-[a-z2-7]{16}$/.test(cursor))
      throw new FacetError("invalid_request", "The cursor is not one of this API.");
    const { items } = await this.data.keep(files.experiments(), itself<ExperimentsFile>);
    const search = q.replaceAll("\0", " ").trim();
    const has = textSearch(search);
    const found = items.filter(({ body }) => has(body) || body.toLowerCase().includes(search.toLowerCase())).map(({ summary }) => summary);
    const cursorOf = ({ createdAt, id }: { createdAt: string; id: string }) => `${Date.parse(createdAt)}-${id}`;
    const [ms = "", id = ""] = cursor?.split("-") ?? [];
    const beyond =
      cursor === null
        ? found
        : found.filter((one) => Date.parse(one.createdAt) < Number(ms) || (Date.parse(one.createdAt) === Number(ms) && one.id < id));
    const page = beyond.slice(0, limit);
    const last = page.at(-1);
    return { items: page, next: beyond.length > limit && last ? cursorOf(last) : null, total: found.length };
  }

  async experiment(id: string, signal?: AbortSignal): Promise<Experiment> {
    const experiment = await this.data.find<Experiment>(files.experiment(id), signal);
    if (!experiment) throw new FacetError("experiment_not_found", `No experiment ${id.slice(0, 20)} is saved here.`);
    return experiment;
  }
}
