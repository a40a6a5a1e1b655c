/**
 * Writes two small bundles of one dictionary, `small-shapes/model.layers.1`, as one that was trained again would be: other weights, and each label
 * begins with its version's word. No engine has its model. The folder to write into is the only argument; e2e/serve.mjs imports both.
 */
import path from "node:path";
import { writeTestBundle } from "../lib/catalog/test-bundle";

const [folder] = process.argv.slice(2);
if (!folder) throw new Error("Name the folder to write into.");

for (const [i, word] of ["early", "late"].entries()) {
  await writeTestBundle(path.join(folder, String(i + 1)), {
    model: "small-shapes",
    features: 150,
    images: 12,
    version: word,
    edit: ({ explanations }) => {
      for (const row of explanations ?? []) if (row.label) row.label = `${word} ${row.label}`;
    },
  });
}
