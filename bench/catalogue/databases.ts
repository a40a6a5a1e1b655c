/** The databases that are measured: the embedded one in a folder, and a PostgreSQL server of the benchmark's own. */
import path from "node:path";
import { Client } from "pg";
import { ensurePostgres, startPostgres } from "@/cli/setup/postgres.mjs";
import { type Database, openDatabase } from "@/lib/catalog/db";
import { env } from "@/lib/env";

export type Kind = Database["kind"];

/** Where bundles, vectors and the embedded databases are kept between runs. */
export const workFolder = path.resolve(env.root, process.env.FACET_BENCH_DIR ?? path.join(".facet", "bench"));

/** As somebody's own server on a disk without moving parts would be set: everything that keeps data safe stays on. */
export const serverSettings = ["shared_buffers=1GB", "effective_cache_size=4GB", "random_page_cost=1.1", "max_wal_size=4GB"];

export interface Server {
  url: string;
  stop(): Promise<void>;
}

/** FACET_BENCH_DATABASE_URL names a server to use, whose databases are then kept; else one is started, and gone at the end. */
export async function openServer(): Promise<Server> {
  const given = process.env.FACET_BENCH_DATABASE_URL;
  if (given) return { url: given, stop: async () => {} };
  await ensurePostgres(console.log);
  return startPostgres(serverSettings);
}

/** A catalogue to open: plain data, so that another process can be given it. */
export type Place = { kind: "pglite"; dataDir: string } | { kind: "postgres"; databaseUrl: string };

/** Creates the database where it is not there. */
export async function placeOn(kind: Kind, name: string, server: Server | null): Promise<Place> {
  if (kind === "pglite") return { kind, dataDir: path.join(workFolder, name) };
  if (!server) throw new Error("There is no server.");
  const url = new URL(server.url);
  const client = new Client({ connectionString: url.href });
  await client.connect();
  const database = `facet_bench_${name.replaceAll("-", "_")}`;
  const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = $1", [database]);
  if (!rowCount) await client.query(`CREATE DATABASE ${database}`);
  await client.end();
  url.pathname = `/${database}`;
  return { kind, databaseUrl: url.href };
}

export function openPlace(place: Place): Promise<Database> {
  const imagesDir = path.join(workFolder, "images");
  if (place.kind === "pglite") return openDatabase({ dataDir: place.dataDir, imagesDir, migrate: "apply" });
  return openDatabase({ databaseUrl: place.databaseUrl, imagesDir, migrate: "apply" });
}
