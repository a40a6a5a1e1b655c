/** What is wrong with the catalogue's database, and what to do about it. */
import { asFacetError, FacetError } from "@/lib/core/errors";
import { type Database, type OpenOptions, openDatabase } from "./db";
import { storedImages } from "./image-files";
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

async function checkVersion(db: Database): Promise<Finding> {
  const rows = await db.rows<{ number: number; name: string }>(
    "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS name",
  );
  const { number, name } = rows[0] ?? { number: 0, name: "unknown" };
  return number >= oldest ? good(`PostgreSQL ${name}.`) : bad(`PostgreSQL ${name} is too old.`, "Use PostgreSQL 16 or later.");
}

async function checkExtension(db: Database, name: string): Promise<Finding> {
  const rows = await db.rows<{ installed: string | null; available: string | null }>(
    `SELECT (SELECT extversion FROM pg_extension WHERE extname = $1) AS installed,
       (SELECT default_version FROM pg_available_extensions WHERE name = $1) AS available`,
    [name],
  );
  const { installed, available } = rows[0] ?? { installed: null, available: null };
  if (installed) return good(`The extension ${name} ${installed} is there.`);
  if (available)
    return bad(`The extension ${name} is not created.`, `Run \`npm run facet migrate\`, or as a superuser: CREATE EXTENSION ${name};`);
  return bad(
    `The server has no extension ${name}.`,
    `Install it on the server (package "${name === "vector" ? "pgvector" : "contrib"}"), then run \`npm run facet migrate\`.`,
  );
}

async function checkRights(db: Database): Promise<Finding> {
  const rows = await db.rows<{ create: boolean; temp: boolean; role: string }>(
    `SELECT has_schema_privilege(current_schema(), 'CREATE') AS create, has_database_privilege(current_database(), 'TEMP') AS temp,
       current_user AS role`,
  );
  const { create, temp, role } = rows[0] ?? { create: false, temp: false, role: "?" };
  if (create && temp) return good(`The role ${role} may create tables.`);
  return bad(
    `The role ${role} may not create ${create ? "temporary tables" : "tables"}, which imports need.`,
    create ? `As an administrator: GRANT TEMP ON DATABASE … TO ${role};` : `As an administrator: GRANT CREATE ON SCHEMA public TO ${role};`,
  );
}

async function checkMigrations(db: Database): Promise<Finding> {
  const pending = await pendingMigrations(db.pool);
  return pending.length
    ? bad(`${pending.length} migrations are pending: ${pending.join(", ")}.`, "Run `npm run facet migrate`.")
    : good("The tables are this version's.");
}

async function checkContent(db: Database): Promise<Finding[]> {
  const rows = await db.rows<{ dictionaries: number; features: number }>(
    "SELECT count(*)::int AS dictionaries, coalesce(sum(features), 0)::int AS features FROM dictionary",
  );
  const { dictionaries, features } = rows[0] ?? { dictionaries: 0, features: 0 };
  const files = await storedImages(db.imagesDir);
  const images = await db.rows<{ sha256: string }>("SELECT sha256 FROM image");
  const lost = images.filter((image) => !files.has(image.sha256)).length;
  return [
    dictionaries
      ? good(`${dictionaries} dictionaries with ${features} features.`)
      : bad("The catalogue is empty.", "Run `npm run facet import demo/bundle`, or give a bundle of your own."),
    lost
      ? bad(`${lost} of ${images.length} image files are missing from ${db.imagesDir}.`, "Import their bundle again, which restores them.")
      : good(`All ${images.length} image files are there.`),
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
    findings.push(await checkExtension(db, "vector"), await checkExtension(db, "pg_trgm"));
    findings.push(await checkRights(db));
    const migrations = await checkMigrations(db);
    findings.push(migrations);
    if (migrations.ok) findings.push(...(await checkContent(db)));
  } catch (error) {
    const known = error instanceof FacetError ? error : asFacetError(error);
    const cause = known.cause instanceof Error ? ` (${known.cause.message.split("\n")[0]})` : "";
    findings.push(bad(`${known.message}${cause}`, known.code === "catalogue_unreachable" ? unreachableFix(known) : known.fix));
  } finally {
    await db?.close().catch(() => {});
  }
  return findings;
}

/** What the server's own code for a refused connection asks for. */
function unreachableFix(error: FacetError): string {
  const code = (error.cause as { code?: string } | undefined)?.code ?? "";
  if (code === "28P01" || code === "28000") return "Correct the user or the password in DATABASE_URL.";
  if (code === "3D000") return "Create the database that DATABASE_URL names, or correct its name.";
  if (code === "ECONNREFUSED") return "Start the server that DATABASE_URL names, or correct its host and port.";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "Correct the host in DATABASE_URL.";
  return error.fix.includes("facet doctor") ? "Check that DATABASE_URL is right and that its server answers." : error.fix;
}
