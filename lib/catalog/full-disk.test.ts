/** `facet import` onto a disk that fills up: a small file system in memory, which Linux lets anyone mount in a namespace of its own. */
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openDatabase } from "./db";
import { importBundle } from "./import-bundle";
import { writeTestBundle } from "./test-bundle";

const inNamespace = (script: string, env: Record<string, string> = {}) =>
  spawnSync("unshare", ["--map-root-user", "--mount", "sh", "-c", script], { env: { ...process.env, ...env }, encoding: "utf8" });
const mountable = inNamespace('mount -t tmpfs -o size=1m tmpfs "$PROBE"', { PROBE: tmpdir() }).status === 0;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-full-"));
  await writeTestBundle(path.join(folder, "old"), { features: 30, images: 8 });
  await writeTestBundle(path.join(folder, "changed"), { features: 400, images: 24, version: "2" });
  const db = await openDatabase({ dataDir: path.join(folder, "prepared") });
  await importBundle(db, path.join(folder, "old"));
  await db.close();
  await mkdir(path.join(folder, "mounted"));
}, 240_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

it.runIf(mountable)(
  "says that the disk is full, leaves what was there, and goes through once there is space",
  () => {
    const facet = (...args: string[]) => `"${process.execPath}" --import tsx "${path.resolve("cli/facet.ts")}" ${args.join(" ")} 2>&1`;
    const { stdout, stderr } = inNamespace(
      `mount -t tmpfs -o size=160m tmpfs "$AT/mounted" && cp -r "$AT/prepared" "$FACET_DATA_DIR" || exit 1
       dd if=/dev/zero of="$AT/mounted/ballast" bs=1024 count=$(( $(df -Pk "$AT/mounted" | awk 'NR==2 {print $4}') - 1500 )) 2>/dev/null
       ${facet("import", '"$AT/changed"')}; echo "status $?"
       rm "$AT/mounted/ballast"
       echo "pictures $(find "$FACET_DATA_DIR/images" -type f -path '*/??/*' | wc -l), notes $(find "$FACET_DATA_DIR/images" -name '.import-*' | wc -l)"
       ${facet("list")}
       ${facet("import", '"$AT/changed"')}; echo "status $?"`,
      { AT: folder, FACET_DATA_DIR: path.join(folder, "mounted/data"), DATABASE_URL: "" },
    );
    const said = `${stdout}${stderr}`;
    expect(said).toMatch(
      /The disk is full; the catalogue is as it was before\.\nFree some space and import again\.\nstatus 1\npictures 8, notes 0\n/,
    );
    expect(said).toMatch(/test-model\/model\.layers\.1 {2}\w{12} {2}30 features/);
    expect(said).toMatch(/\(\w{12}\) imported\nThe version before, \w{12}, stays/);
    expect(said).toMatch(/status 0\n$/);
  },
  600_000,
);
