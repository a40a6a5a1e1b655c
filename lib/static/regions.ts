/** Pictures on which some features fire in a painted region, from the features' files: what `GET /api/region-pictures` of a server answers. */
import type { z } from "zod";
import type { RegionPictures, regionPicturesQuerySchema } from "@/lib/api/region-pictures";
import { bands, type FeatureCard, type ImageInfo } from "@/lib/core/records";
import { mostRegionExamples, rankPictures } from "@/lib/core/region-search";
import { decodeMap } from "@/lib/core/sparse-map";
import type { FeatureTable } from "./feature-table";
import type { FeatureFile } from "./layout";

export type RegionQuery = z.infer<typeof regionPicturesQuerySchema>;

/** `images`: in the order of import. `readFeature`: the file of a feature of the table. */
export async function searchRegions(
  { dictionary, features, region, without, limit }: RegionQuery,
  table: FeatureTable,
  images: readonly ImageInfo[],
  readFeature: (index: number) => Promise<FeatureFile>,
): Promise<RegionPictures> {
  const numberOf = new Map(images.map(({ sha256 }, number) => [sha256, number]));
  const known = features.filter((index) => table.rowOf.has(index));
  const stored = await Promise.all(
    known.map(async (index) => {
      const { examples } = await readFeature(index);
      return bands
        .flatMap((band) => examples[band])
        .filter(({ image }) => image !== without)
        .slice(0, mostRegionExamples)
        .flatMap((example) => {
          const image = numberOf.get(example.image);
          return image === undefined ? [] : [{ ...example, index, image, map: decodeMap(example.map), encoded: example.map }];
        });
    }),
  );
  const maxima = new Map(known.map((index) => [index, (table.cards[table.rowOf.get(index) as number] as FeatureCard).maxActivation ?? 0]));
  const { ranked, examples, pictures } = rankPictures(stored.flat(), region, features.length, maxima);
  return {
    dictionary,
    examined: { examples, pictures, catalogue: images.length },
    total: ranked.length,
    items: ranked.slice(0, limit).map(({ image, score, found }) => {
      const { sha256, caption } = images[image] as ImageInfo;
      const inRegion = found.map(({ example: { index, rows, cols, peak, mean, encoded }, inside, outside }) => {
        return { index, inside, outside, rows, cols, peak, mean, map: encoded };
      });
      return { image: sha256, caption, score, features: inRegion };
    }),
  };
}
