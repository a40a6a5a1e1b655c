/** What the sandbox and the trace page begin with, from their address. */
import { asFacetError } from "@/lib/core/errors";
import { sha256Schema } from "@/lib/core/protocol";
import type { Dictionary, FeatureCard, ImageInfo } from "@/lib/core/records";
import { decodeSteerLink, type SteerLink } from "@/lib/core/steer-link";
import { emptyLink, startingClamp } from "./state";

/** Where an address's parts are looked up. Each throws what the catalogue throws. */
export interface EntrySource {
  /** The catalogue's first picture. */
  firstImage(): Promise<string | null>;
  image(sha256: string): Promise<Pick<ImageInfo, "sha256">>;
  feature(ref: string, index: number): Promise<Pick<FeatureCard, "index" | "imageShare" | "maxActivation">>;
}

export interface SteerParams {
  r?: string;
  dictionary?: string;
  feature?: string;
  image?: string;
}

export interface Entry {
  link: SteerLink;
  /** What one gets who starts over. */
  fresh: SteerLink;
  /** The address asks for nothing in particular, so the tab's draft may take its place. */
  mayResume: boolean;
  /** Why the address could not be followed in full. */
  notice: string | null;
}

/** A plain request that can be run as it is: the first picture of the catalogue and a question. */
async function freshLink(source: EntrySource, dictionary: Dictionary): Promise<SteerLink> {
  const link = emptyLink(dictionary.ref, dictionary.sha256.slice(0, 12));
  return withImage(
    { ...link, messages: [{ role: "user", content: [{ type: "text", text: "What do you see?" }] }] },
    await source.firstImage(),
  );
}

function withImage(link: SteerLink, sha256: string | null): SteerLink {
  if (sha256 === null) return link;
  const [message, ...rest] = link.messages;
  const text = message?.content.filter((part) => part.type === "text") ?? [];
  return { ...link, messages: [{ role: "user", content: [{ type: "image", image: { sha256, upload: false } }, ...text] }, ...rest] };
}

/** What an address of the sandbox asks for: `r` is a whole request; `dictionary`, `feature` and `image` begin one. */
export async function readEntry(source: EntrySource, dictionaries: [Dictionary, ...Dictionary[]], params: SteerParams): Promise<Entry> {
  const asked = dictionaries.find(({ ref }) => ref === params.dictionary);
  const dictionary = asked ?? dictionaries.find(({ engine }) => engine === "ready") ?? dictionaries[0];
  const fresh = await freshLink(source, dictionary);
  const entry: Entry = { link: fresh, fresh, mayResume: !params.feature && !params.image && params.r === undefined, notice: null };
  if (params.r !== undefined) {
    try {
      return { ...entry, link: decodeSteerLink(params.r) };
    } catch (error) {
      const { message, fix } = asFacetError(error);
      return { ...entry, notice: `${message} ${fix}` };
    }
  }
  const notices: string[] = [];
  if (params.dictionary && !asked) notices.push(`The catalogue has no dictionary “${params.dictionary}”.`);
  if (params.image) {
    try {
      const info = await source.image(sha256Schema.parse(params.image));
      entry.link = withImage(entry.link, info.sha256);
    } catch {
      notices.push("The picture of this address is not in the catalogue.");
    }
  }
  if (params.feature && asked) {
    try {
      const feature = await source.feature(asked.ref, Number(params.feature));
      entry.link = { ...entry.link, clamps: [startingClamp(feature.index, feature.imageShare, feature.maxActivation)] };
    } catch (error) {
      notices.push(asFacetError(error).message);
    }
  }
  return { ...entry, notice: notices.join(" ") || null };
}
