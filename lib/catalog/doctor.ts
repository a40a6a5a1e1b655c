/** What is wrong with the catalogue's database, and what to do about it. */
import { asFacetError, FacetError } from "@/lib/core/errors";
import { type Database, type OpenOptions, openDatabase } from "./db";
import { missingImages } from "./image-files";
import { otherCatalogues } from "./image-owners";
import { pendingMigrations } from "./migrations";

export interface Finding {
  ok: boolean;
  /** One sentence. */
  what: string;
  /** What to do, where something is wrong. */
  fix: string | null;
}

const good = (what: string): Finding => ({ ok: true, what, fix: null });
const bad = (what: string, fix: string): Finding => ({ ok: false, what, fix });

/** The oldest PostgreSQL that the migrations run on. */
const oldest = 160_000;

/** The extensions that the migrations create, and the oldest version that the statements run on; null: any. */
const extensions = [
  { name: "vector", package: "pgvector (Debian and Ubuntu: postgresql-<version>-pgvector)", least: [0, 8] },
  { name: "pg_trgm", package: "PostgreSQL's contrib", least: null },
] as const;

async function checkVersion(db: Database): Promise<Finding> {
  const rows = await db.rows<{ number: number; name: string }>(
    "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS name",
  );
  const { number, name } = rows[0] ?? { number: 0, name: "unknown" };
  return versionFinding(number, name);
}

/** `number` as `server_version_num` has it: 160004 is 16.4. */
export function versionFinding(number: number, name: string): Finding {
  return number >= oldest ? good(`PostgreSQL ${name}.`) : bad(`PostgreSQL ${name} is too old.`, "Use PostgreSQL 16 or later.");
}

/** Whether a version, "0.8.5", is at least the one given. */
function isAtLeast(version: string, least: readonly number[]): boolean {
  const parts = version.split(".").map(Number);
  for (const [i, wanted] of least.entries()) {
    if ((parts[i] ?? 0) !== wanted) return (parts[i] ?? 0) > wanted;
  }
  return true;
}

async function checkExtension(db: Database, extension: (typeof extensions)[number]): Promise<Finding> {
  const { name, least } = extension;
  const rows = await db.rows<{ installed: string | null; available: string | null; creates: boolean }>(
    `SELECT (SELECT extversion FROM pg_extension WHERE extname = $1) AS installed,
       (SELECT default_version FROM pg_available_extensions WHERE name = $1) AS available,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
         OR EXISTS (SELECT FROM pg_available_extension_versions WHERE name = $1 AND trusted)
           AND has_database_privilege(current_database(), 'CREATE') AS creates`,
    [name],
  );
  const { installed, available, creates } = rows[0] ?? { installed: null, available: null, creates: false };
  const tooOld = (version: string) => least !== null && !isAtLeast(version, least);
  if (available && tooOld(available)) {
    return bad(
      `The server's extension ${name} ${available} is too old.`,
      `Install ${least?.join(".")} or later on the server (${extension.package})${installed ? `, then as an administrator: ALTER EXTENSION ${name} UPDATE;` : "."}`,
    );
  }
  if (installed && tooOld(installed)) {
    return bad(`The database's extension ${name} ${installed} is too old.`, `As an administrator: ALTER EXTENSION ${name} UPDATE;`);
  }
  if (installed) return good(`The extension ${name} ${installed} is there.`);
  if (available && creates) return bad(`The extension ${name} is not created.`, "Run `npm run facet migrate`, which creates it.");
  if (available) {
    return bad(
      `The extension ${name} is not created, and this role may not create it.`,
      `As an administrator, in this database: CREATE EXTENSION ${name};`,
    );
  }
  return bad(
    `The server has no extension ${name}.`,
    `Install it on the server (${extension.package}), then run \`npm run facet migrate\`.`,
  );
}

interface Rights {
  role: string;
  database: string;
  schema: string | null;
  create: boolean | null;
  temp: boolean;
  /** A table of the catalogue that is somebody else's. */
  foreign: string | null;
  owner: string | null;
}

/** An import makes tables, makes them parts of others and drops them again: the role must own what is there. */
async function checkRights(db: Database): Promise<Finding> {
  const rows = await db.rows<Rights>(
    `SELECT current_user AS role, current_database() AS database, current_schema() AS schema,
       has_schema_privilege(current_schema(), 'CREATE') AS create, has_database_privilege(current_database(), 'TEMP') AS temp,
       c.relname AS foreign, pg_get_userbyid(c.relowner) AS owner
     FROM (SELECT 1) one LEFT JOIN pg_class c ON c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
       AND c.relname IN ('facet_migration', 'dictionary', 'feature') AND NOT pg_has_role(c.relowner, 'USAGE') LIMIT 1`,
  );
  const { role, database, schema, create, temp, foreign, owner } = rows[0] as Rights;
  if (schema === null) {
    return bad(`The role ${role} has no schema to work in.`, `As an administrator: GRANT USAGE, CREATE ON SCHEMA public TO "${role}";`);
  }
  if (!create) {
    return bad(
      `The role ${role} may not create tables, which imports need.`,
      `As an administrator, in the database ${database}: GRANT CREATE ON SCHEMA ${schema} TO "${role}";`,
    );
  }
  if (!temp) {
    return bad(
      `The role ${role} may not create temporary tables, which imports need.`,
      `As an administrator: GRANT TEMP ON DATABASE "${database}" TO "${role}";`,
    );
  }
  if (foreign) {
    return bad(
      `The table ${foreign} belongs to the role ${owner}, so that ${role} cannot import.`,
      `Name ${owner} in DATABASE_URL, or as an administrator: REASSIGN OWNED BY "${owner}" TO "${role}";`,
    );
  }
  return good(`The role ${role} may create tables.`);
}

async function checkMigrations(db: Database): Promise<Finding> {
  const pending = await pendingMigrations(db.pool);
  return pending.length
    ? bad(`${pending.length} migrations are pending: ${pending.join(", ")}.`, "Run `npm run facet migrate`.")
    : good("The tables are this version's.");
}

async function checkContent(db: Database): Promise<Finding[]> {
  const rows = await db.rows<{ dictionaries: number; features: number; images: number }>(
    `SELECT count(*)::int AS dictionaries, coalesce(sum(features), 0)::int AS features, (SELECT count(*)::int FROM image) AS images
     FROM dictionary`,
  );
  const { dictionaries, features, images } = rows[0] ?? { dictionaries: 0, features: 0, images: 0 };
  const lost = await missingImages(db);
  return [
    dictionaries
      ? good(`${dictionaries} dictionaries with ${features} features.`)
      : bad("The catalogue is empty.", "Run `npm run facet import demo/bundle`, or give a bundle of your own."),
    lost
      ? bad(`${lost} of ${images} image files are missing from ${db.imagesDir}.`, "Import their bundle again, which restores them.")
      : good(`All ${images} image files are there.`),
  ];
}

/** Whose else the pictures are. */
export async function checkSharing(db: Database): Promise<Finding[]> {
  const others = await otherCatalogues(db.imagesDir, await db.imageOwner());
  if (others.length === 0) return [];
  const named = others.map(({ file, changed }) => `${file} (of ${changed.toISOString().slice(0, 10)})`).join(", ");
  return [
    good(
      `Other catalogues show pictures of this folder, which stay here until they let go of them; delete the list of one that is gone: ${named}.`,
    ),
  ];
}

/** Runs every check that can be run, the connection first. Never throws. */
export async function diagnose(options: OpenOptions = {}): Promise<Finding[]> {
  const findings: Finding[] = [];
  let db: Database | undefined;
  try {
    db = await openDatabase({ ...options, migrate: "never" });
    findings.push(good(db.kind === "pglite" ? "The embedded catalogue opens." : "The database that DATABASE_URL names answers."));
    findings.push(await checkVersion(db));
    for (const extension of extensions) findings.push(await checkExtension(db, extension));
    const rights = await checkRights(db);
    findings.push(rights);
    const migrations = await checkMigrations(db).catch((error) => {
      // A role that may not even read has been told what it lacks.
      if (rights.ok) throw error;
      return null;
    });
    if (migrations === null) return findings;
    findings.push(migrations);
    if (migrations.ok) findings.push(...(await checkContent(db)), ...(await checkSharing(db)));
  } catch (error) {
    const known = error instanceof FacetError ? error : asFacetError(error);
    const cause = known.cause instanceof Error ? ` (${known.cause.message.split("\n")[0]})` : "";
    findings.push(bad(`${known.message}${cause}`, known.fix));
  } finally {
    await db?.close().catch(() => {});
  }
  return findings;
}
