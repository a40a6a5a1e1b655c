import { existsSync, rmSync } from "node:fs";
import { distDir, inRoot } from "./paths.mjs";
import { run } from "./processes.mjs";
import { fingerprint, readStamp, writeStamp } from "./stamp.mjs";
import { SetupError } from "./step.mjs";

/** Next.js and its build look nothing up outside. */
export const nextEnv = { NEXT_TELEMETRY_DISABLED: "1" };
export const nextBin = inRoot("node_modules", "next", "dist", "bin", "next");

/**
 * Generates Prisma's client where the schema or Prisma's version changed. Prisma's engines are downloads that `generate` does not
 * need but looks for: any file stands in for them, and Node's own program is sure to be there.
 * @param {(what: string) => void} say
 */
export async function ensurePrismaClient(say) {
  const output = inRoot("lib", "generated", "prisma");
  const stamp = inRoot("lib", "generated", "prisma", ".facet-stamp");
  const wanted = fingerprint(["prisma/schema.prisma", "prisma.config.ts", "node_modules/prisma/package.json"]);
  if (existsSync(output) && readStamp(stamp) === wanted) return "up to date";
  say("prisma generate, because the schema is new or changed");
  await run("prisma generate", process.execPath, [inRoot("node_modules", "prisma", "build", "index.js"), "generate"], {
    env: {
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      PRISMA_QUERY_ENGINE_LIBRARY: process.execPath,
      CHECKPOINT_DISABLE: "1",
      PRISMA_HIDE_UPDATE_MESSAGE: "1",
    },
    fix: "prisma/schema.prisma is at fault if the lines above name it; else delete node_modules and run the command again.",
  });
  writeStamp(stamp, wanted);
  return "generated";
}

const sources = [
  "app",
  "components",
  "lib",
  "public",
  "prisma/schema.prisma",
  "next.config.ts",
  "proxy.ts",
  "instrumentation.ts",
  "instrumentation-client.ts",
  "postcss.config.mjs",
  "tsconfig.json",
  "package-lock.json",
];

/** @param {string} file */
const notBuilt = (file) => /\.test\.tsx?$/.test(file) || file.startsWith("lib/generated/");

/**
 * Builds the app where its sources changed since the last whole build.
 * @param {(what: string) => void} say
 * @param {Record<string, string | undefined>} [env] further variables of the build
 */
export async function ensureBuild(say, env = {}) {
  const stamp = inRoot(distDir, "facet-build");
  const wanted = fingerprint(sources, { extra: [process.versions.modules, process.platform], skip: notBuilt });
  const previous = readStamp(stamp);
  if (previous === wanted && existsSync(inRoot(distDir, "BUILD_ID"))) return "up to date";
  if (!existsSync(inRoot("app"))) throw new SetupError("The folder app/ is missing.", "Check the repository out whole.");
  say(`next build, because ${previous ? "its sources changed" : "there is no finished build yet"} (about half a minute)`);
  rmSync(stamp, { force: true });
  await run("next build", process.execPath, [nextBin, "build"], {
    env: { ...nextEnv, ...env, NODE_ENV: "production" },
    fix: "The lines above say which file does not build.",
  });
  writeStamp(stamp, wanted);
  return "built";
}

/**
 * Builds the pages of a copy without a server (site/) where their sources or their place on the host changed. They are the same for every catalogue.
 * @param {(what: string) => void} say
 * @param {string} base
 * @param {Record<string, string | undefined>} [env] further variables of the build
 */
export async function ensureSite(say, base, env = {}) {
  const stamp = inRoot("site", ".next", "facet-build");
  const files = [...sources, "site/app", "site/views", "site/next.config.ts", "site/instrumentation-client.ts", "site/tsconfig.json"];
  const wanted = fingerprint(files, { extra: [process.versions.modules, process.platform, base], skip: notBuilt });
  if (readStamp(stamp) === wanted && existsSync(inRoot("site", "out", "index.html"))) return "up to date";
  say("next build site (about half a minute)");
  rmSync(stamp, { force: true });
  await run("next build site", process.execPath, [nextBin, "build", inRoot("site")], {
    env: { ...nextEnv, ...env, NODE_ENV: "production", NEXT_PUBLIC_FACET_STATIC: "1", NEXT_PUBLIC_FACET_BASE: base },
    fix: "The lines above say which file does not build.",
  });
  writeStamp(stamp, wanted);
  return "built";
}
