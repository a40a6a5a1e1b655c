/**
 * The catalogue's database: a `pg.Pool` over the embedded PGlite (data under `.facet/catalogue`) or over the PostgreSQL server that
 * DATABASE_URL names. Every statement of lib/catalog runs on both.
 */
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type ClientBase, Pool, type PoolClient, type PoolConfig, type QueryResultRow } from "pg";
import { FacetError } from "@/lib/core/errors";
import { env } from "@/lib/env";
import type { PrismaClient } from "@/lib/generated/prisma/client";
import { asCatalogueError } from "./database-errors";
import { ImageList } from "./image-owners";
import { stampName } from "./import-stamp";
import { type Lock, takeLock } from "./lock";
import { migrate, pendingMigrations } from "./migrations";
import { openPglite, type PgliteThread } from "./pglite-stream";

export interface Queryable {
  /** Runs one statement with bound parameters and returns its rows. */
  rows<R extends QueryResultRow>(sql: string, values?: unknown[]): Promise<R[]>;
}

export class Database implements Queryable {
  constructor(
    readonly pool: Pool,
    readonly kind: "pglite" | "postgres",
    /** Where image files lie, under their hashes. */
    readonly imagesDir: string,
    /** Where finished imports are noted (import-stamp.ts); null: nowhere. */
    readonly stampFile: string | null,
    private readonly onClose: () => Promise<void>,
    /** Where the database is embedded. */
    private readonly embedded?: {
      /** Its name among the catalogues over the images (image-owners.ts). */
      owner: string;
      /** The whole database as a tar file. */
      dump(): Promise<Uint8Array>;
      /** Ends it at once, amid a statement. */
      halt(): Promise<void>;
    },
  ) {}

  get dump(): (() => Promise<Uint8Array>) | undefined {
    return this.embedded?.dump;
  }

  #owner: Promise<string> | undefined;

  /** This catalogue's name among those over the same images: of the database itself, however it is reached. */
  imageOwner(): Promise<string> {
    this.#owner ??= this.embedded
      ? Promise.resolve(this.embedded.owner)
      : this.rows<{ owner: string }>(
          `SELECT 'server-' || (SELECT system_identifier FROM pg_control_system()) || '-' || oid AS owner FROM pg_database
           WHERE datname = current_database()`,
        ).then((rows) => rows[0]?.owner ?? "server");
    return this.#owner;
  }

  /** Connections that a request to cancel is on its way to: it may come late and would end whatever runs there next, so that they are not used again. */
  readonly #interrupted = new WeakSet<PoolClient>();

  /**
   * Ends the statement that the server's process `pid` runs for `client`, if it runs one. The embedded database has no other way than to end: nothing
   * can be asked of it afterwards, and its open transaction is undone when it is opened again.
   */
  async interrupt(pid: number, client: PoolClient): Promise<void> {
    this.#interrupted.add(client);
    if (this.embedded) await this.embedded.halt();
    else await this.pool.query("SELECT pg_cancel_backend($1)", [pid]);
  }

  async rows<R extends QueryResultRow>(sql: string, values: unknown[] = []): Promise<R[]> {
    try {
      return (await this.pool.query<R>(sql, values)).rows;
    } catch (error) {
      throw asCatalogueError(error, this.kind);
    }
  }

  #prisma: Promise<PrismaClient> | undefined;

  /** Typed access to the plain tables, over the same pool. Loaded on first use: commands that only import never need it. */
  prisma(): Promise<PrismaClient> {
    this.#prisma ??= (async () => {
      const [{ PrismaClient }, { PrismaPg }] = await Promise.all([import("@/lib/generated/prisma/client"), import("@prisma/adapter-pg")]);
      return new PrismaClient({ adapter: new PrismaPg(this.pool) });
    })();
    return this.#prisma;
  }

  /**
   * Runs `work` in one transaction on one connection; whatever it throws undoes everything. Inside, use only the connection given: the
   * embedded database has no second one.
   */
  async transaction<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.pool.connect().catch((error) => {
      throw asCatalogueError(error, this.kind);
    });
    let broken: Error | undefined;
    try {
      await client.query("BEGIN");
      const result = await work(client);
      await client.query("COMMIT");
      return result;
    } catch (error) {
      await client.query("ROLLBACK").catch((cause: Error) => {
        broken = cause;
      });
      throw asCatalogueError(error, this.kind);
    } finally {
      client.release(broken ?? this.#interrupted.has(client));
    }
  }

  async close(): Promise<void> {
    await this.pool.end();
    await this.onClose();
  }
}

/** Awaits a query of Prisma's; a connection that fails becomes the catalogue's own error, whose code Prisma keeps in its message's cause. */
export async function catalogueErrors<T>(db: Database, query: Promise<T>): Promise<T> {
  try {
    return await query;
  } catch (error) {
    const { code, meta } = error as { code?: string; meta?: { driverAdapterError?: { cause?: { originalCode?: string; kind?: string } } } };
    const original =
      meta?.driverAdapterError?.cause?.originalCode ?? (code === "P2021" ? "42P01" : code === "P1001" ? "ECONNREFUSED" : undefined);
    const known = asCatalogueError({ code: original }, db.kind);
    if (known instanceof FacetError) throw new FacetError(known.code, known.message, { fix: known.fix, cause: error });
    // What Prisma keeps no code of: a connection that is gone says so itself.
    await db.rows("SELECT 1");
    throw error;
  }
}

export interface OpenOptions {
  /** Folder of the embedded catalogue; null = in memory, for tests. */
  dataDir?: string | null;
  /** A PostgreSQL connection string instead of the embedded catalogue. */
  databaseUrl?: string;
  /** A dump to begin an empty catalogue in memory with. */
  template?: string;
  /** Where images lie; default `<dataDir>/images`. Required in memory. */
  imagesDir?: string;
  /**
   * What to do about pending migrations. Default: applied to the embedded catalogue, which nobody else administers; refused on a server.
   * `never` opens the database as it is.
   */
  migrate?: "apply" | "refuse" | "never";
}

/**
 * Opens PGlite's folder. Its creation takes seconds and may be cut short; one that was is known by the missing mark, holds nothing yet and
 * is made again. A folder of the same name that we did not begin is somebody's and is left alone.
 */
async function openFolder(folder: string): Promise<PgliteThread> {
  const mark = path.join(/* turbopackIgnore: true */ folder, "FACET_READY");
  const begun = `${folder}.begun`;
  if (existsSync(mark)) return openPglite(folder);
  if (!existsSync(begun) && existsSync(folder) && readdirSync(folder).length > 0) {
    throw new FacetError("catalogue_unreachable", `The folder ${folder} holds something else than Facet's catalogue.`, {
      fix: "Move it away, or set FACET_DATA_DIR to another folder.",
    });
  }
  writeFileSync(begun, "The embedded catalogue is being created.\n");
  rmSync(folder, { recursive: true, force: true });
  const thread = await openPglite(folder);
  writeFileSync(mark, "The embedded catalogue was created whole.\n");
  rmSync(begun, { force: true });
  return thread;
}

/** Errors of the disk under the data folder. */
function asFolderError(error: unknown, dataDir: string | null): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code ?? "";
  if (dataDir === null || !/^(EACCES|EPERM|EROFS|ENOTDIR|EEXIST|ENOSPC|EDQUOT)$/.test(code)) return error;
  return new FacetError("catalogue_unreachable", `The data folder ${dataDir} cannot be written (${code}).`, {
    fix: "Give Facet the right to write there and some space, or set FACET_DATA_DIR to another folder.",
    cause: error,
  });
}

async function openEmbedded(dataDir: string | null, imagesDir: string, template?: string): Promise<Database> {
  let lock: Lock | undefined;
  let thread: PgliteThread | undefined;
  try {
    if (dataDir !== null) {
      mkdirSync(dataDir, { recursive: true });
      lock = takeLock(path.join(/* turbopackIgnore: true */ dataDir, "catalogue.lock"));
    }
    thread = await (dataDir === null
      ? openPglite(null, template)
      : openFolder(path.join(/* turbopackIgnore: true */ dataDir, "catalogue")));
  } catch (error) {
    lock?.release();
    throw asFolderError(error, dataDir);
  }
  const opened = thread;
  // One session: one connection, never recycled.
  const pool = new Pool({
    max: 1,
    idleTimeoutMillis: 0,
    stream: () => opened.connect(),
    user: "postgres",
    database: "postgres",
    ...session,
  } as PoolConfig);
  const stamp = dataDir === null ? null : path.join(/* turbopackIgnore: true */ dataDir, "catalogue", stampName);
  const close = async () => {
    await opened.close();
    lock?.release();
  };
  const own = dataDir !== null && path.resolve(imagesDir) === path.resolve(dataDir, "images");
  return new Database(pool, "pglite", imagesDir, stamp, close, {
    // Over its own folder's images it is the only embedded one there can be, wherever the folder is moved and whenever it is made anew.
    owner: own ? "embedded" : `embedded-${randomUUID()}`,
    dump: () => opened.dump(),
    halt: () => opened.halt(),
  });
}

async function settleMigrations(db: Database, policy: "apply" | "refuse" | "never"): Promise<void> {
  try {
    if (policy === "never") {
      // The connection is still tried, so that a server that does not answer is found now.
      await db.pool.query("SELECT 1");
      return;
    }
    const pending = await pendingMigrations(db.pool);
    if (pending.length === 0) return;
    if (policy === "refuse") {
      throw new FacetError("catalogue_outdated", `The database lacks ${pending.length} of this version's migrations.`, {
        fix: "Run `npm run facet migrate`.",
      });
    }
    await migrate(db.pool);
  } catch (error) {
    throw asCatalogueError(error, db.kind);
  }
}

/**
 * Set on every connection before its first query: how near a word must be to count as a typo of another; how many candidates a search by
 * meaning weighs (no fewer than it returns), and that it goes on until enough of them pass the filters.
 */
const session = {
  onConnect: async (client: ClientBase) => {
    await client.query(
      "SET pg_trgm.strict_word_similarity_threshold = 0.2; SET hnsw.ef_search = 200; SET hnsw.iterative_scan = strict_order; SET hnsw.max_scan_tuples = 60000",
    );
  },
};

/**
 * Opens a catalogue. Throws `catalogue_locked` (another process has the folder), `catalogue_unreachable` (no such server, a damaged
 * folder) and `catalogue_outdated` (pending migrations that are not ours to apply).
 */
export async function openDatabase(options: OpenOptions = {}): Promise<Database> {
  const databaseUrl = options.databaseUrl ?? (options.dataDir === undefined ? env.databaseUrl : undefined);
  const dataDir = options.dataDir === undefined ? env.dataDir : options.dataDir;
  const imagesDir = options.imagesDir ?? path.join(/* turbopackIgnore: true */ dataDir ?? env.dataDir, "images");
  const db = databaseUrl
    ? new Database(
        new Pool({ connectionString: databaseUrl, max: 10, connectionTimeoutMillis: 5_000, ...session } as PoolConfig),
        "postgres",
        imagesDir,
        null,
        async () => {},
      )
    : await openEmbedded(dataDir, imagesDir, options.template);
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  db.pool.on("error", () => {});
  // So would one that breaks amid a transaction, whose query says what happened.
  db.pool.on("connect", (client) => client.on("error", () => {}));
  try {
    const policy = options.migrate ?? (db.kind === "pglite" ? "apply" : "refuse");
    await settleMigrations(db, policy);
    if (policy !== "never") await listImages(db);
    return db;
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** A catalogue that has no list of its images yet tells the others now; one that may not write there has nothing to lose there either. */
async function listImages(db: Database): Promise<void> {
  if (!existsSync(db.imagesDir)) return;
  try {
    const list = new ImageList(db.imagesDir, await db.imageOwner());
    if (!(await list.exists())) await list.rewrite(db);
  } catch {
    // The next import says what is wrong with the folder.
  }
}

const holder = globalThis as typeof globalThis & { __facetDatabase?: Promise<Database> };

/** The process's one catalogue, opened on first use and kept across reloads of modules. A failed opening is tried again by the next call. */
export function getDatabase(): Promise<Database> {
  if (!holder.__facetDatabase) {
    const opening = openDatabase();
    opening.catch(() => {
      if (holder.__facetDatabase === opening) holder.__facetDatabase = undefined;
    });
    holder.__facetDatabase = opening;
  }
  return holder.__facetDatabase;
}
