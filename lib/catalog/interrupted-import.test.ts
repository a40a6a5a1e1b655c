/**
 * `facet import` stopped at any moment, as a process of its own: on the embedded database, and on a server where the tests have one. An index
 * that never ends stands in for those of a large dictionary.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Database, openDatabase } from "./db";
import { listDictionaries } from "./dictionaries";
import { findFeature } from "./feature-detail";
import { storedImages } from "./image-files";
import { importBundle } from "./import-bundle";
import { partitionedTables } from "./partitions";
import { writeTestBundle } from "./test-bundle";
import { openEmptyDatabase } from "./test-catalog";

// Each starts a process and opens the catalogue again, on machines at work on other things.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const onServer = Boolean(process.env.FACET_TEST_DATABASE_URL);
const cli = path.resolve("cli/facet.ts");
let folder: string;
let dataDir: string;
let server: Database | undefined;
let databaseUrl: string;
let old: string;
let changed: string;
/** What the import says when it begins the index that takes long. */
let slowIndex: string;
const ref = "test-model/model.layers.1";

/** The catalogue, for as long as `work` takes: the embedded one is one process's at a time. */
async function withCatalogue<T>(work: (db: Database) => Promise<T>): Promise<T> {
  if (server) return work(server);
  const db = await openDatabase({ dataDir });
  return work(db).finally(() => db.close());
}

/** An index of this function is built at once, or never to its end. */
async function setSpeed(db: Database, speed: "slow" | "fast", create = "CREATE OR REPLACE"): Promise<void> {
  const work = speed === "slow" ? (onServer ? "PERFORM pg_sleep(3600);" : "LOOP END LOOP;") : "";
  await db.rows(`${create} FUNCTION slowly(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS 'BEGIN ${work} RETURN $1; END'`);
}

interface State {
  versions: unknown[];
  features: unknown[];
  partitions: unknown[];
  pictures: { sha256: string }[];
  files: string[];
}

/** All that an import changes, in the database and on the disk. */
async function stateOf(db: Database): Promise<State> {
  const files = (await readdir(db.imagesDir, { recursive: true })).filter((name) => statSync(path.join(db.imagesDir, name)).isFile());
  return {
    versions: await db.rows("SELECT id, ref, version, features FROM dictionary ORDER BY id"),
    features: await db.rows("SELECT dictionary_id, count(*)::int AS features FROM feature GROUP BY 1 ORDER BY 1"),
    partitions: await db.rows("SELECT relname FROM pg_class WHERE relname ~ '_d[0-9]+$' AND relkind = 'r' ORDER BY 1"),
    pictures: await db.rows("SELECT sha256 FROM image ORDER BY 1"),
    // What was half written would be a file that is no picture's.
    files: files
      .filter((name) => path.basename(path.dirname(name)) !== ".catalogues")
      .map((name) => path.basename(name))
      .sort(),
  };
}

class Importing {
  said = "";
  readonly child: ChildProcess;
  readonly ended: Promise<unknown[]>;

  constructor(bundle: string) {
    this.child = spawn(process.execPath, ["--import", "tsx", cli, "import", bundle], {
      env: { ...process.env, FACET_DATA_DIR: dataDir, DATABASE_URL: databaseUrl },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.ended = once(this.child, "exit");
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.on("data", (chunk) => (this.said += chunk));
  }

  async until(words: string): Promise<void> {
    const late = performance.now() + 120_000;
    while (!this.said.includes(words)) {
      if (this.child.exitCode !== null || performance.now() > late) throw new Error(`"${words}" was not said: ${this.said}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-interrupted-"));
  dataDir = path.join(folder, "data");
  [old, changed] = [path.join(folder, "old"), path.join(folder, "changed")];
  await writeTestBundle(old, { features: 60, images: 8 });
  await writeTestBundle(changed, { features: 60, images: 24, remark: " anew" });
  if (onServer) {
    server = await openEmptyDatabase(path.join(dataDir, "images"));
    databaseUrl = (server.pool as unknown as { options: { connectionString: string } }).options.connectionString;
  } else databaseUrl = "";
  await withCatalogue(async (db) => {
    await importBundle(db, old);
    await setSpeed(db, "fast", "CREATE");
    await db.rows("CREATE INDEX feature_slowly ON feature (slowly(index))");
    await setSpeed(db, "slow");
    const [feature] = await db.rows<{ indexes: number }>(
      "SELECT count(*)::int AS indexes FROM pg_index WHERE indrelid = 'feature'::regclass",
    );
    slowIndex = `index ${feature?.indexes} of `;
  });
});
afterAll(async () => {
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Checks that the catalogue is as it was, and that the next import, which nothing holds up, goes through. */
async function expectAsBefore(before: State): Promise<void> {
  await withCatalogue(async (db) => {
    // A server notices within seconds that a client was killed.
    if (onServer) await nobodyAtWork(db);
    expect(await db.rows("SELECT FROM explanation WHERE text LIKE '% anew%'")).toEqual([]);
    const { files, ...rows } = await stateOf(db);
    expect(rows).toEqual({ ...before, files: undefined });
    // The files of a killed import are taken back by the next one at the latest.
    expect(files.filter((name) => /^[0-9a-f]{64}$/.test(name))).toEqual(expect.arrayContaining(before.files));
  });
}

async function nobodyAtWork(db: Database): Promise<void> {
  const late = performance.now() + 20_000;
  const others =
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'";
  while ((await db.rows(others)).length) {
    if (performance.now() > late) throw new Error("A killed import still runs on the server.");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

describe("an import that is stopped amid building an index", () => {
  let before: State;
  beforeAll(async () => {
    before = await withCatalogue(stateOf);
    expect(before.files).toHaveLength(8);
  });

  it("ends soon after Ctrl-C, says that nothing changed, and readers are served meanwhile", async () => {
    const importing = new Importing(changed);
    await importing.until(slowIndex);
    if (server) {
      expect((await findFeature(server, ref, 0)).explanations[0]?.text).not.toContain("anew");
      expect((await listDictionaries(server)).map((one) => one.versions.length)).toEqual([1]);
    }
    const asked = performance.now();
    importing.child.kill("SIGINT");
    expect(`${await importing.ended} ${importing.said}`).toMatch(/^130, /);
    expect(performance.now() - asked).toBeLessThan(30_000);
    expect(importing.said).toContain("Stopping; once more ends at once.");
    expect(importing.said).toContain("The import was stopped; the catalogue is as it was before.\nRun the import again.\n");
    expect(await withCatalogue(stateOf)).toEqual(before);
    await expectAsBefore(before);
  });

  it("ends at once at the second Ctrl-C", async () => {
    const importing = new Importing(changed);
    await importing.until(slowIndex);
    importing.child.kill("SIGINT");
    await importing.until("Stopping");
    importing.child.kill("SIGINT");
    // It may have stopped by itself before the second came.
    expect([
      [null, "SIGINT"],
      [130, null],
    ]).toContainEqual(await importing.ended);
    await expectAsBefore(before);
  });

  it("leaves the old state when it is killed", async () => {
    const importing = new Importing(changed);
    await importing.until(slowIndex);
    importing.child.kill("SIGKILL");
    expect(await importing.ended).toEqual([null, "SIGKILL"]);
    await expectAsBefore(before);
  });

  it("stops between tables too", async () => {
    const importing = new Importing(changed);
    await importing.until("checking files");
    importing.child.kill("SIGTERM");
    expect(`${await importing.ended} ${importing.said}`).toMatch(/^130, /);
    await expectAsBefore(before);
  });

  it("leaves nothing in the way of the next, which sweeps what was left", async () => {
    await withCatalogue(async (db) => {
      await setSpeed(db, "fast");
      const [imported] = (await importBundle(db, changed)).dictionaries;
      expect(imported).toMatchObject({ outcome: "added", beside: [expect.any(String)] });
      expect((await findFeature(db, ref, 0)).explanations[0]?.text).toContain("anew");
      expect((await findFeature(db, ref, 0, imported?.beside[0])).explanations[0]?.text).not.toContain("anew");
      const { versions, partitions, pictures, files } = await stateOf(db);
      expect(versions).toHaveLength(2);
      expect(partitions).toHaveLength(2 * partitionedTables.length);
      expect(files).toEqual(pictures.map((row) => row.sha256));
      expect(await storedImages(db.imagesDir)).toEqual(new Set(files));
    });
    expect(existsSync(path.join(dataDir, "catalogue.lock"))).toBe(false);
  });
});
