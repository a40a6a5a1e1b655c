/** The sandbox's first request, looked up in the catalogue. */
import type { EntrySource } from "@/components/steer/entry";
import type { Database } from "@/lib/catalog/db";
import { findFeature } from "@/lib/catalog/feature-detail";
import { findImageInfo, listImages } from "@/lib/catalog/images";

export const inCatalogue = (db: Database): EntrySource => ({
  firstImage: async () => (await listImages(db, { limit: 1, cursor: null })).items[0]?.sha256 ?? null,
  image: (sha256) => findImageInfo(db, sha256),
  feature: async (ref, index) => (await findFeature(db, ref, index)).feature,
});
