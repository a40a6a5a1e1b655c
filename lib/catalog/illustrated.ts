/** Whether a dictionary has anything to show its features by. */
import type { Queryable } from "./db";

/** Whether any of its features has a stored example, on a picture or a text: of what was imported as weights or labels alone none has. */
export async function isIllustrated(db: Queryable, dictionaryId: number): Promise<boolean> {
  const [row] = await db.rows<{ some: boolean }>("SELECT EXISTS (SELECT 1 FROM activation WHERE dictionary_id = $1) AS some", [
    dictionaryId,
  ]);
  return row?.some ?? false;
}
