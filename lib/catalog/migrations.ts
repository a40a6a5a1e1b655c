/** The catalogue's plain SQL migrations, run by node-pg-migrate, the same on both databases. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import type { Pool } from "pg";
import { env } from "@/lib/env";

const folder = () => path.join(/* turbopackIgnore: true */ env.root, "prisma", "migrations");
const table = "facet_migration";

/** Names of this version's migrations, oldest first. */
export async function knownMigrations(): Promise<string[]> {
  const files = await readdir(folder());
  return files
    .filter((file) => file.endsWith(".sql"))
    .map((file) => file.slice(0, -4))
    .sort();
}

/** Names of the migrations that the database has not had, oldest first. */
export async function pendingMigrations(pool: Pool): Promise<string[]> {
  const known = await knownMigrations();
  const { rows: tables } = await pool.query("SELECT to_regclass($1) IS NOT NULL AS exists", [table]);
  if (!tables[0]?.exists) return known;
  const { rows } = await pool.query<{ name: string }>(`SELECT name FROM ${table}`);
  const done = new Set(rows.map((row) => row.name));
  return known.filter((name) => !done.has(name));
}

/** Applies what is pending, all of it in one transaction, and returns the names. */
export async function migrate(pool: Pool): Promise<string[]> {
  // Loaded only when there is something to do.
  const { runner } = await import("node-pg-migrate");
  const client = await pool.connect();
  try {
    const done = await runner({
      dbClient: client,
      dir: folder(),
      direction: "up",
      migrationsTable: table,
      singleTransaction: true,
      logger: { debug() {}, info() {}, warn() {}, error() {} },
    });
    return done.map((migration) => migration.name);
  } finally {
    client.release();
  }
}
