/** A bundle (docs/formats.md) as what an import reads. */
import { existsSync } from "node:fs";
import path from "node:path";
import { openBundle, openTables } from "./bundle";
import { contentHash, verifyFiles } from "./manifest";
import type { Reader, Source } from "./source";

/** A bundle's folder, also where somebody gave its manifest. */
export const bundleFolder = (given: string) => (path.basename(given) === "manifest.json" ? path.dirname(given) : given);

/** Opens the bundle in `folder`. Throws `bundle_invalid`, naming file, column and remedy. */
export async function bundleSource(folder: string): Promise<Source> {
  const bundle = await openBundle(folder);
  const { manifest } = bundle;
  const source = {
    format: manifest.format,
    found: [
      `A Facet bundle of ${manifest.model.name} with ${manifest.dictionaries.map(({ id, num_latents }) => `${id} (${num_latents.toLocaleString("en")} features)`).join(", ")}.`,
    ],
    model: manifest.model,
    attribution: manifest.attribution,
  };
  // What is broken in the files themselves is said before what their tables lack.
  const verify: Source["verify"] = (onProgress) => verifyFiles(folder, manifest, onProgress);
  try {
    const { images, texts, dictionaries } = await openTables(bundle);
    return {
      ...source,
      images,
      texts,
      dictionaries: dictionaries.map(({ entry, tables }) => ({ entry, tables, content: contentHash(manifest, entry) })),
      verify,
    };
  } catch (error) {
    await verify();
    throw error;
  }
}

export const bundleReader: Reader<Source> = {
  format: "facet-bundle/1",
  async recognise(given) {
    const folder = bundleFolder(given);
    if (!existsSync(path.join(folder, "manifest.json"))) return null;
    return { found: "A Facet bundle." };
  },
  read: (given) => bundleSource(bundleFolder(given)),
};
