import { emptyLink, startingClamp } from "@/components/steer/state";
import type { Database } from "@/lib/catalog/db";
import { findFeature } from "@/lib/catalog/feature-detail";
import { findImageInfo, listImages } from "@/lib/catalog/images";
import { asFacetError } from "@/lib/core/errors";
import { sha256Schema } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import { decodeSteerLink, type SteerLink } from "@/lib/core/steer-link";

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
async function freshLink(db: Database, dictionary: Dictionary): Promise<SteerLink> {
  const link = emptyLink(dictionary.ref, dictionary.sha256.slice(0, 12));
  const [first] = (await listImages(db, { limit: 1, cursor: null })).items;
  return withImage({ ...link, messages: [{ role: "user", content: [{ type: "text", text: "What do you see?" }] }] }, first?.sha256 ?? null);
}

function withImage(link: SteerLink, sha256: string | null): SteerLink {
  if (sha256 === null) return link;
  const [message, ...rest] = link.messages;
  const text = message?.content.filter((part) => part.type === "text") ?? [];
  return { ...link, messages: [{ role: "user", content: [{ type: "image", image: { sha256, upload: false } }, ...text] }, ...rest] };
}

/** What an address of the sandbox asks for: `r` is a whole request; `dictionary`, `feature` and `image` begin one. */
export async function readEntry(db: Database, dictionaries: [Dictionary, ...Dictionary[]], params: SteerParams): Promise<Entry> {
  const asked = dictionaries.find(({ ref }) => ref === params.dictionary);
  const dictionary = asked ?? dictionaries.find(({ engine }) => engine === "ready") ?? dictionaries[0];
  const fresh = await freshLink(db, dictionary);
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
      const info = await findImageInfo(db, sha256Schema.parse(params.image));
      entry.link = withImage(entry.link, info.sha256);
    } catch {
      notices.push("The picture of this address is not in the catalogue.");
    }
  }
  if (params.feature && asked) {
    try {
      const { feature } = await findFeature(db, asked.ref, Number(params.feature));
      entry.link = { ...entry.link, clamps: [startingClamp(feature.index, feature.imageShare, feature.maxActivation)] };
    } catch (error) {
      notices.push(asFacetError(error).message);
    }
  }
  return { ...entry, notice: notices.join(" ") || null };
}
