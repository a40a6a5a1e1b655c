/** `facet import` into a server whose own disk fills up: a server of this test's own, on a small file system in memory. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeTestBundle } from "@/lib/catalog/test-bundle";
import { serverPrograms } from "../setup/postgres.mjs";

const inNamespace = (script: string, env: Record<string, string> = {}) =>
  spawnSync("unshare", ["--mount", "sh", "-c", script], { env: { ...process.env, ...env }, encoding: "utf8" });
// A mount for another user's server takes root; a server that was named from outside has no programs here.
const possible = existsSync(serverPrograms()) && inNamespace('mount -t tmpfs -o size=1m tmpfs "$AT"', { AT: tmpdir() }).status === 0;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-full-server-"));
  // The server runs as another user.
  await chmod(folder, 0o755);
  await mkdir(path.join(folder, "mounted"));
  await writeTestBundle(path.join(folder, "old"), { features: 30, images: 8 });
  await writeTestBundle(path.join(folder, "changed"), { features: 400, images: 24, version: "2" });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const program = `
import { spawnSync } from "node:child_process";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
const { AT: at } = process.env;
const { startPostgres } = await import(process.env.SETUP);
const server = await startPostgres(undefined, at + "/mounted");
const facet = (...args) => {
  const env = { ...process.env, DATABASE_URL: server.url, FACET_DATA_DIR: at + "/data" };
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--import", "tsx", "cli/facet.ts", ...args], { env, encoding: "utf8" });
  console.log(stdout + stderr + "status " + status);
};
try {
  facet("import", at + "/old");
  const { bavail, bsize } = statfsSync(at + "/mounted");
  writeFileSync(at + "/mounted/ballast", Buffer.alloc(bavail * bsize - 500_000));
  facet("import", at + "/changed");
  rmSync(at + "/mounted/ballast");
  facet("list");
  facet("import", at + "/changed");
} finally {
  await server.stop();
}`;

it.runIf(possible)(
  "says that the disk is full, leaves what was there, and goes through once there is space",
  () => {
    const { stdout, stderr } = inNamespace(
      'mount -t tmpfs -o size=200m,mode=1777 tmpfs "$AT/mounted" && "$NODE" --input-type=module -e "$PROGRAM"',
      { AT: folder, NODE: process.execPath, PROGRAM: program, SETUP: pathToFileURL(path.resolve("cli/setup/postgres.mjs")).href },
    );
    const [first, refused, listed, again] = `${stdout}${stderr}`.split(/^(?<=status \d\n)/m);
    expect(first).toMatch(/imported\n[\s\S]*status 0\n$/);
    expect(refused).toMatch(/The disk is full; the catalogue is as it was before\.\nFree some space and import again\.\nstatus 1\n$/);
    expect(listed).toMatch(/test-model\/model\.layers\.1 {2}\w{12} {2}30 features/);
    expect(again).toMatch(/\(\w{12}\) imported\nThe version before, \w{12}, stays[\s\S]*status 0\n$/);
  },
  600_000,
);
