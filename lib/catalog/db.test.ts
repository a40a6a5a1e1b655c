import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { Pool, type PoolConfig } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Database, openDatabase } from "./db";
import { listDictionaries } from "./dictionaries";
import { openPglite } from "./pglite-stream";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
}, 120_000);
afterAll(() => catalog?.close());

describe("the driver", () => {
  it("carries every type that the catalogue uses, both ways", async () => {
    const rows = await catalog.db.rows(
      "SELECT $1::int AS i, $2::real AS r, $3::float8 AS d, $4::text AS t, $5::bytea AS b, $6::boolean AS o, $7::text[] AS l, $8::float8 AS n",
      [7, 0.1, 0.1 + 0.2, "'\"\\ é 狗 🐶", Buffer.from([0, 255, 92]), true, ['a"b', "c\\d", ""], null],
    );
    expect(rows).toEqual([
      { i: 7, r: 0.1, d: 0.1 + 0.2, t: "'\"\\ é 狗 🐶", b: Buffer.from([0, 255, 92]), o: true, l: ['a"b', "c\\d", ""], n: null },
    ]);
  });

  it("answers many at once, and goes on after an error", async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => catalog.db.rows<{ n: number }>("SELECT $1::int AS n", [i])));
    expect(answers.map((rows) => rows[0]?.n)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    await expect(catalog.db.rows("SELECT nonsense")).rejects.toThrow(/nonsense/);
    await expect(catalog.db.rows("SELECT 1/0")).rejects.toThrow(/division by zero/);
    expect(await catalog.db.rows("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  it("undoes a transaction that throws, and large answers arrive whole", async () => {
    await catalog.db.rows("CREATE TABLE scratch (n int)");
    const failing = catalog.db.transaction(async (client) => {
      await client.query("INSERT INTO scratch SELECT generate_series(1, 10)");
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(await catalog.db.rows("SELECT FROM scratch")).toHaveLength(0);
    await catalog.db.transaction((client) => client.query("INSERT INTO scratch SELECT generate_series(1, 50000)"));
    expect(await catalog.db.rows("SELECT n, repeat('x', 100) AS pad FROM scratch")).toHaveLength(50_000);
    await catalog.db.rows("DROP TABLE scratch");
  });

  it("does not hang on what the embedded database cannot do", async () => {
    if (catalog.db.kind !== "pglite") return;
    await expect(catalog.db.pool.query("COPY feature FROM STDIN")).rejects.toThrow(/COPY FROM STDIN/);
    expect(await catalog.db.rows("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  it("says that the embedded database has stopped, also through Prisma", async () => {
    const dump = await catalog.db.dump?.();
    // A server is not ours to stop.
    if (!dump) return;
    const template = path.join(catalog.folder, "template.tar");
    await writeFile(template, dump);
    const thread = await openPglite(null, template);
    const db = new Database(new Pool({ max: 1, stream: () => thread.connect() } as PoolConfig), "pglite", "", null, async () => {});
    db.pool.on("error", () => {});
    expect(await db.rows("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await thread.close();
    const stopped = { code: "catalogue_unreachable", message: "The embedded catalogue has stopped." };
    await expect(db.rows("SELECT 1")).rejects.toMatchObject(stopped);
    await expect(db.transaction((client) => client.query("SELECT 1"))).rejects.toMatchObject(stopped);
    await expect(listDictionaries(db)).rejects.toMatchObject(stopped);
    await db.close();
  });

  it("leaves a folder alone that is not Facet's, and says which data folder it cannot write", async () => {
    const dataDir = path.join(catalog.folder, "own");
    await mkdir(path.join(dataDir, "catalogue"), { recursive: true });
    await writeFile(path.join(dataDir, "catalogue", "letter.txt"), "mine");
    await expect(openDatabase({ dataDir })).rejects.toMatchObject({
      code: "catalogue_unreachable",
      message: expect.stringContaining("something else"),
    });
    expect(await readdir(path.join(dataDir, "catalogue"))).toEqual(["letter.txt"]);
    await expect(openDatabase({ dataDir: path.join(dataDir, "catalogue", "letter.txt", "data") })).rejects.toMatchObject({
      code: "catalogue_unreachable",
      message: expect.stringMatching(/letter\.txt\/data cannot be written \(ENOTDIR\)/),
    });
  });

  it("says that no server answers", async () => {
    const refused = openDatabase({ databaseUrl: "postgres://nobody:x@127.0.0.1:9/none" });
    await expect(refused).rejects.toMatchObject({ code: "catalogue_unreachable", status: 503, retry: true });
  });
});
