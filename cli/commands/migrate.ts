import { openDatabase } from "@/lib/catalog/db";
import { migrate, pendingMigrations } from "@/lib/catalog/migrations";

/** Applies pending migrations, on either database. */
export async function migrateCommand(): Promise<void> {
  const db = await openDatabase({ migrate: "never" });
  try {
    const pending = await pendingMigrations(db.pool);
    if (pending.length) await migrate(db.pool);
    console.log(pending.length ? `Applied ${pending.join(", ")}.` : "Nothing to do: the database is up to date.");
  } finally {
    await db.close();
  }
}
