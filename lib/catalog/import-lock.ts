/** One import or drop at a time in a catalogue. */
import type { PoolClient } from "pg";
import type { Database } from "./db";
import type { ImportOptions } from "./import-progress";

/** Two imports at once would make each other's rows, and share each other's files: the second waits. */
export async function lockImports(client: PoolClient, db: Database, { onProgress }: ImportOptions = {}): Promise<void> {
  if (db.kind === "postgres") {
    // A server notices only so that a client was killed amid a long statement. Not every platform has it.
    await client.query(
      `DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '2s', true); EXCEPTION WHEN OTHERS THEN NULL; END $$`,
    );
  }
  const { rows } = await client.query<{ taken: boolean }>("SELECT pg_try_advisory_xact_lock(hashtext('facet import')) AS taken");
  if (rows[0]?.taken) return;
  onProgress?.({ stage: "waiting for another import to end", done: 0, total: 0, rowsPerSecond: 0 });
  await client.query("SELECT pg_advisory_xact_lock(hashtext('facet import'))");
}
