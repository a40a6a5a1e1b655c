/**
 * A catalogue in memory and a bundle in a temporary folder, for tests. With FACET_TEST_DATABASE_URL (a server where databases may be
 * created) the same tests run there.
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Client } from "pg";
import { env } from "@/lib/env";
import { type Database, openDatabase } from "./db";
import { importBundle } from "./import-bundle";
import type { ImportResult } from "./import-source";
import { type TestBundleOptions, writeTestBundle } from "./test-bundle";

export interface TestCatalog {
  db: Database;
  /** Temporary folder of everything. */
  folder: string;
  /** Writes a bundle and imports it. */
  add(options?: TestBundleOptions): Promise<ImportResult & { bundle: string }>;
  close(): Promise<void>;
}

/** A name for an empty, migrated database that is kept, since making one takes most of a test's time: of all that goes into it. */
async function templateName(...more: string[]): Promise<string> {
  const hash = createHash("sha256").update(more.join());
  const migrations = path.join(env.root, "prisma/migrations");
  for (const name of (await readdir(migrations)).sort()) hash.update(name).update(await readFile(path.join(migrations, name)));
  return hash.digest("hex").slice(0, 16);
}

async function templateFile(): Promise<string> {
  const pglite = await readFile(path.join(env.root, "node_modules/@electric-sql/pglite/package.json"), "utf8");
  return path.join(tmpdir(), `facet-test-catalog-${await templateName(pglite)}.tar`);
}

const databaseUrl = (server: string, name: string) => {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
};

/** A new database on the server, dropped on closing. */
async function openServerDatabase(server: string, imagesDir: string): Promise<Database> {
  const name = `facet_test_${randomUUID().slice(0, 8)}`;
  const template = `facet_template_${await templateName()}`;
  const admin = async (work: (client: Client) => Promise<unknown>) => {
    const client = new Client({ connectionString: server });
    await client.connect();
    await work(client).finally(() => client.end());
  };
  await admin(async (client) => {
    // Test files run at once: one makes the template, the others wait for it.
    await client.query("SELECT pg_advisory_lock(hashtext('facet test template'))");
    const { rows } = await client.query("SELECT FROM pg_database WHERE datname = $1", [template]);
    if (rows.length === 0) {
      const draft = `${template}_${randomUUID().slice(0, 8)}`;
      await client.query(`CREATE DATABASE ${draft}`);
      await (await openDatabase({ databaseUrl: databaseUrl(server, draft), imagesDir, migrate: "apply" })).close();
      await client.query(`ALTER DATABASE ${draft} RENAME TO ${template}`);
    }
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  });
  const db = await openDatabase({ databaseUrl: databaseUrl(server, name), imagesDir });
  const close = db.close.bind(db);
  db.close = async () => {
    await close();
    await admin((client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
  };
  return db;
}

/** An empty catalogue: in memory, or on the server that tests were given. */
export async function openEmptyDatabase(imagesDir: string): Promise<Database> {
  const server = process.env.FACET_TEST_DATABASE_URL;
  if (server) return openServerDatabase(server, imagesDir);
  const template = await templateFile();
  if (existsSync(template)) return openDatabase({ dataDir: null, imagesDir, template });
  const db = await openDatabase({ dataDir: null, imagesDir });
  const dump = await db.dump?.();
  if (dump) {
    const draft = `${template}.${randomUUID().slice(0, 8)}`;
    await writeFile(draft, dump);
    await rename(draft, template);
  }
  return db;
}

export async function openTestCatalog(): Promise<TestCatalog> {
  const folder = await mkdtemp(path.join(tmpdir(), "facet-catalog-"));
  const db = await openEmptyDatabase(path.join(folder, "images"));
  let bundles = 0;
  return {
    db,
    folder,
    async add(options) {
      const bundle = path.join(folder, `bundle-${bundles++}`);
      await writeTestBundle(bundle, options);
      return { ...(await importBundle(db, bundle)), bundle };
    },
    async close() {
      await db.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
