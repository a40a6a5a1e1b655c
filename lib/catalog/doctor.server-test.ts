/** On a real server, as its superuser: what is wrong with a database is a sentence, and doing what it says mends it. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openDatabase } from "./db";
import { diagnose } from "./doctor";
import { dropDictionary } from "./drop-dictionary";
import { importBundle } from "./import-bundle";
import { writeTestBundle } from "./test-bundle";

const server = process.env.FACET_TEST_DATABASE_URL ?? "";
const suffix = randomUUID().slice(0, 8);
const database = `facet_doctor_${suffix}`;
const guest = `facet_guest_${suffix}`;
let folder: string;
let admin: Client;

/** An address of the server, changed. */
function address(change: (url: URL) => void = () => {}): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  change(url);
  return url.href;
}

const asGuest = (url: URL) => {
  url.username = guest;
  url.password = "guest";
};

async function inDatabase(...statements: string[]): Promise<void> {
  const client = new Client({ connectionString: address() });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

const open = (databaseUrl: string, migrate: "apply" | "refuse" = "apply") =>
  openDatabase({ databaseUrl, migrate, imagesDir: path.join(folder, "images") });

/** What is wrong, and what to do. */
async function wrong(databaseUrl = address()): Promise<string[]> {
  const findings = await diagnose({ databaseUrl, imagesDir: path.join(folder, "images") });
  for (const finding of findings) expect(finding.fix === null).toBe(finding.ok);
  return findings.filter((finding) => !finding.ok).map(({ what, fix }) => `${what} → ${fix}`);
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-doctor-server-"));
  admin = new Client({ connectionString: server });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${database}`);
  await admin.query(`CREATE ROLE ${guest} LOGIN PASSWORD 'guest'`);
});
afterAll(async () => {
  await admin.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
  await admin.query(`DROP ROLE IF EXISTS ${guest}`);
  await admin.end();
  await rm(folder, { recursive: true, force: true });
});

it("says why no connection comes about", async () => {
  expect(await wrong(address((url) => (url.password = "wrong")))).toEqual([
    expect.stringMatching(/does not answer\. \(password authentication failed.*→ Correct the user or the password/),
  ]);
  expect(await wrong(address((url) => (url.pathname = "/nothing")))).toEqual([
    expect.stringMatching(/database "nothing" does not exist\) → Create the database/),
  ]);
  expect(await wrong(address((url) => (url.port = "9")))).toEqual([expect.stringMatching(/ECONNREFUSED.*→ Start the server/)]);
  expect(await wrong("postgres://user:pass@[half/db")).toEqual([expect.stringMatching(/→ Write it as postgres:\/\//)]);
  await admin.query(`REVOKE CONNECT ON DATABASE ${database} FROM PUBLIC`);
  expect(await wrong(address(asGuest))).toEqual([
    expect.stringMatching(/permission denied for database.*→ As an administrator: GRANT CONNECT/),
  ]);
  await admin.query(`GRANT CONNECT ON DATABASE ${database} TO PUBLIC`);
});

it("says which packages the server lacks", async (context) => {
  const { rows } = await admin.query<{ version: number }>("SELECT current_setting('server_version_num')::int AS version");
  // Older servers look in one place only.
  if ((rows[0]?.version ?? 0) < 180_000) context.skip();
  await admin.query(`ALTER DATABASE ${database} SET extension_control_path = '/nowhere'`);
  expect((await wrong()).slice(0, 2)).toEqual([
    "The server has no extension vector. → Install it on the server (pgvector (Debian and Ubuntu: postgresql-<version>-pgvector)), then run `npm run facet migrate`.",
    "The server has no extension pg_trgm. → Install it on the server (PostgreSQL's contrib), then run `npm run facet migrate`.",
  ]);
  await expect(open(address())).rejects.toMatchObject({
    code: "catalogue_outdated",
    message: expect.stringContaining("lacks an extension"),
  });
  await admin.query(`ALTER DATABASE ${database} RESET extension_control_path`);
  // The attempt left its table of migrations, which another role may not read: what is said of that is which right is missing.
  expect((await wrong(address(asGuest))).at(-1)).toMatch(/may not create tables.*→ As an administrator/);
  await inDatabase("DROP TABLE IF EXISTS facet_migration");
});

it("says that extensions are missing, who may make them, and that they are too old", async () => {
  const pending = expect.stringMatching(/^\d migrations are pending/);
  expect(await wrong()).toEqual([
    "The extension vector is not created. → Run `npm run facet migrate`, which creates it.",
    "The extension pg_trgm is not created. → Run `npm run facet migrate`, which creates it.",
    pending,
  ]);
  // pgvector marks itself trusted only in packages that say so: where it does not, somebody else has to create it.
  expect(await wrong(address(asGuest))).toEqual([
    "The extension vector is not created, and this role may not create it. → As an administrator, in this database: CREATE EXTENSION vector;",
    expect.stringContaining("The extension pg_trgm is not created"),
    `The role ${guest} may not create tables, which imports need. → As an administrator, in the database ${database}: GRANT CREATE ON SCHEMA public TO "${guest}";`,
    pending,
  ]);
  await expect(open(address(asGuest))).rejects.toMatchObject({ code: "catalogue_forbidden", fix: expect.stringContaining("facet doctor") });

  await inDatabase("CREATE EXTENSION vector", "CREATE EXTENSION pg_trgm");
  // As a database looks whose server was brought up to date and it was not.
  await inDatabase("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'");
  expect(await wrong()).toEqual([
    "The database's extension vector 0.7.4 is too old. → As an administrator: ALTER EXTENSION vector UPDATE;",
    pending,
  ]);
  await inDatabase(
    "UPDATE pg_extension SET extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') WHERE extname = 'vector'",
  );
  expect(await wrong()).toEqual([pending]);
});

it("says which rights are missing; with them a role that is no superuser can do everything", async () => {
  await expect(open(address(asGuest))).rejects.toMatchObject({ code: "catalogue_forbidden" });
  await inDatabase(`GRANT CREATE ON SCHEMA public TO ${guest}`, `REVOKE TEMP ON DATABASE ${database} FROM PUBLIC`);
  expect((await wrong(address(asGuest)))[0]).toBe(
    `The role ${guest} may not create temporary tables, which imports need. → As an administrator: GRANT TEMP ON DATABASE "${database}" TO "${guest}";`,
  );
  await inDatabase(`GRANT TEMP ON DATABASE ${database} TO ${guest}`);
  expect(await wrong(address(asGuest))).toEqual([expect.stringMatching(/migrations are pending.*→ Run `npm run facet migrate`/)]);
  await expect(open(address(asGuest), "refuse")).rejects.toMatchObject({
    code: "catalogue_outdated",
    fix: expect.stringContaining("facet migrate"),
  });
  const db = await open(address(asGuest));
  expect(await wrong(address(asGuest))).toEqual([expect.stringMatching(/^The catalogue is empty/)]);
  const bundle = path.join(folder, "bundle");
  await writeTestBundle(bundle, { features: 20, images: 4 });
  expect((await importBundle(db, bundle)).images).toBe(4);
  expect(await wrong(address(asGuest))).toEqual([]);
  expect(await dropDictionary(db, "test-model/model.layers.1")).toMatchObject({ images: 4, shared: 0 });
  await db.close();
});

it("says that the tables are somebody else's", async () => {
  await inDatabase("ALTER TABLE dictionary OWNER TO CURRENT_USER");
  const [found] = await wrong(address(asGuest));
  expect(found).toMatch(
    new RegExp(`^The table dictionary belongs to the role \\w+, so that ${guest} cannot import. → Name \\w+ in DATABASE_URL`),
  );
});
