/** A start or an import that is killed leaves the old state, and the next process goes on from there. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, vi } from "vitest";
import { openDatabase } from "./db";
import { listDictionaries } from "./dictionaries";
import { importBundle } from "./import-bundle";
import { writeTestBundle } from "./test-bundle";

/** The module as a process with this data folder has it. */
async function stampOf(dataDir: string): Promise<typeof import("./import-stamp")> {
  vi.stubEnv("FACET_DATA_DIR", dataDir);
  vi.resetModules();
  try {
    return await import("./import-stamp");
  } finally {
    vi.unstubAllEnvs();
  }
}

describe("killed processes", () => {
  const cli = path.resolve("cli/facet.ts");
  const run = (dataDir: string, args: string[], more: Record<string, string> = {}) =>
    spawn(process.execPath, ["--import", "tsx", cli, ...args], {
      env: { ...process.env, FACET_DATA_DIR: dataDir, DATABASE_URL: "", ...more },
      stdio: ["ignore", "pipe", "pipe"],
    });

  /** Kills a process at the first moment at which `reached` holds; it must not have ended by itself before. */
  async function killWhen(child: ReturnType<typeof run>, reached: () => Promise<boolean>): Promise<void> {
    const ended = once(child, "exit");
    const late = performance.now() + 120_000;
    try {
      while (!(await reached())) {
        if (child.exitCode !== null || performance.now() > late) throw new Error("The process was not seen in the state to kill it in.");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    } finally {
      child.kill("SIGKILL");
    }
    expect(await ended).toEqual([null, "SIGKILL"]);
  }

  /** Bytes of the largest file in a folder; files that go meanwhile count nothing. */
  async function largestUnder(at: string): Promise<number> {
    const names = await readdir(at, { recursive: true }).catch(() => []);
    const size = (name: string) =>
      stat(path.join(at, name)).then(
        (stats) => stats.size,
        () => 0,
      );
    return Math.max(0, ...(await Promise.all(names.map(size))));
  }

  it("leave the old state, and the next process repairs it", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "facet-kill-"));
    const dataDir = path.join(folder, "data");
    const bundle = path.join(folder, "bundle");
    await writeTestBundle(bundle, { features: 200, images: 48 });
    try {
      const database = path.join(dataDir, "catalogue");
      const ready = path.join(database, "FACET_READY");

      // The first start, cut short while the database is being made.
      await killWhen(run(dataDir, ["list"]), async () => existsSync(path.join(database, "base")));
      expect(existsSync(ready)).toBe(false);

      // The next, amid its migrations: the last of them has written a table of many megabytes and would not end by itself.
      const endless = path.join(folder, "endless");
      await mkdir(path.join(endless, "prisma"), { recursive: true });
      for (const name of ["lib", "node_modules"]) await symlink(path.resolve(name), path.join(endless, name));
      await cp(path.resolve("prisma/migrations"), path.join(endless, "prisma/migrations"), { recursive: true });
      await writeFile(
        path.join(endless, "prisma/migrations/9999999999999_endless.sql"),
        "CREATE TABLE half AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 40000); DO $$ BEGIN LOOP END LOOP; END $$;",
      );
      await killWhen(
        run(dataDir, ["list"], { FACET_ROOT: endless }),
        async () => (await largestUnder(path.join(database, "base"))) > 20_000_000,
      );
      const interrupted = await openDatabase({ dataDir, migrate: "never" });
      expect(await interrupted.rows("SELECT to_regclass('half') AS half, to_regclass('feature') AS feature")).toEqual([
        { half: null, feature: null },
      ]);
      await interrupted.close();

      // The next, between migrations and import; then one amid the import, between its tables.
      for (const stage of ["checking files", "neighbours"]) {
        let said = "";
        const importing = run(dataDir, ["import", bundle]);
        importing.stdout.on("data", (chunk) => {
          said += chunk;
        });
        await killWhen(importing, async () => said.includes(stage));
      }

      const db = await openDatabase({ dataDir });
      expect(await listDictionaries(db)).toEqual([]);
      expect(await db.rows("SELECT FROM feature")).toHaveLength(0);

      // While it is open here, another process is turned away with a sentence.
      const second = run(dataDir, ["list"]);
      let said = "";
      second.stderr.on("data", (chunk) => {
        said += chunk;
      });
      const [code] = await once(second, "exit");
      expect(code).toBe(1);
      expect(said).toMatch(/is open in another Facet process \(number \d+\)/);

      expect((await importBundle(db, bundle)).dictionaries[0]?.outcome).toBe("added");
      expect((await listDictionaries(db))[0]?.counts.features).toBe(200);
      await db.close();

      // Another process imports the same again, without opening the database; and it does not trust that where images are gone.
      const { knownUnchanged } = await stampOf(dataDir);
      expect((await knownUnchanged(bundle))?.dictionaries[0]?.outcome).toBe("unchanged");
      // Stories may be made anew without the manifest.
      const stories = path.join(bundle, "stories.json");
      await writeFile(stories, JSON.stringify({ format: "facet-stories/1", command: "make them", stories: [] }));
      expect(await knownUnchanged(bundle)).toBeNull();
      await rm(stories);
      expect(await knownUnchanged(bundle)).not.toBeNull();
      await rm(path.join(dataDir, "images"), { recursive: true });
      expect(await knownUnchanged(bundle)).toBeNull();
      await cp(bundle, path.join(folder, "copy"), { recursive: true });
      const again = run(dataDir, ["import", path.join(folder, "copy")]);
      let told = "";
      again.stdout.on("data", (chunk) => {
        told += chunk;
      });
      expect((await once(again, "exit"))[0]).toBe(0);
      expect(told).toContain("is already there");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 600_000);
});
