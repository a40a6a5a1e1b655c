import { openDatabase } from "@/lib/catalog/db";
import { listDictionaries } from "@/lib/catalog/dictionaries";

const share = (value: number | null) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);

export async function listCommand({ json }: { json: boolean }): Promise<void> {
  const db = await openDatabase();
  try {
    const dictionaries = await listDictionaries(db);
    if (json) {
      console.log(
        JSON.stringify(
          dictionaries.map(({ examples, ...dictionary }) => dictionary),
          null,
          2,
        ),
      );
      return;
    }
    if (dictionaries.length === 0) console.log("The catalogue is empty. `npm run facet -- import <path>` fills it.");
    for (const { ref, version, versions, counts, metrics, engine } of dictionaries) {
      console.log(
        `${ref}  ${version.slice(0, 12)}  ${counts.features} features, ${counts.explained} explained, dead ${share(metrics.deadShare)}, ` +
          `explained variance ${share(metrics.explainedVariance)}, engine ${engine}`,
      );
      const older = versions.filter((one) => one !== version).map((one) => one.slice(0, 12));
      if (older.length) console.log(`  beside it, for links pinned to them: ${older.join(", ")}`);
    }
  } finally {
    await db.close();
  }
}
