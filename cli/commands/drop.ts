import { openDatabase } from "@/lib/catalog/db";
import { dropDictionary } from "@/lib/catalog/drop-dictionary";
import { splitVersion } from "./version-ref";

/** Drops `<model>/<dictionary>[@version]` and says what is gone. */
export async function dropCommand(named: string, options: { version?: string } = {}): Promise<void> {
  const { ref, version } = splitVersion(options.version === undefined ? named : `${named}@${options.version}`);
  const db = await openDatabase();
  try {
    const { version: dropped, features, images, shared } = await dropDictionary(db, ref, version);
    console.log(
      `${ref} (${dropped.slice(0, 12)}) dropped: ${features.toLocaleString("en")} features, ${images.toLocaleString("en")} images`,
    );
    if (shared) console.log(`${shared.toLocaleString("en")} image files stay: another catalogue over this data folder shows them.`);
  } finally {
    await db.close();
  }
}
