import type { Queryable } from "./db";

/** The preferred explanation's text of each feature, by index; features without one are absent. */
export async function preferredTexts(db: Queryable, dictionaryId: number, indices: number[]): Promise<Map<number, string>> {
  const rows = await db.rows<{ index: number; text: string }>(
    "SELECT index, text FROM explanation WHERE dictionary_id = $1 AND index = ANY($2::int[]) AND preferred AND text IS NOT NULL",
    [dictionaryId, indices],
  );
  return new Map(rows.map((row) => [row.index, row.text]));
}
