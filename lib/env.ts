/** The environment, parsed once. An empty variable counts as unset. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

function read(name: string): string | undefined {
  const value = process.env[name]?.trim();
  return value ? value : undefined;
}

/** Throws where the variable is not a whole number from 0 on: a limit that was misspelt is none. */
function readCount(name: string, usual: number): number {
  const value = read(name);
  if (value === undefined) return usual;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw new Error(`${name} is "${value}". Give a whole number from 0 on, or unset it.`);
}

/** One of some words, the first by default. Throws where the variable is none of them. */
function readChoice(name: string, choices: readonly string[]): string {
  const value = read(name) ?? (choices[0] as string);
  if (choices.includes(value)) return value;
  throw new Error(`${name} is "${value}". Give one of ${choices.join(", ")}, or unset it.`);
}

/** Addresses, comma-separated. Throws where one is none, or holds a name and a password: those would end in logs. */
function readUrls(name: string): string[] {
  const texts = (read(name) ?? "").split(",").map((text) => text.trim());
  return texts.filter(Boolean).map((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash) {
      throw new Error(`${name} holds an entry that is no address. Give http://<host>:<port>, several with commas between.`);
    }
    if (url.username || url.password)
      throw new Error(`${name} holds a name or password. Give addresses alone, and a token in FACET_WORKER_TOKEN.`);
    return url.href;
  });
}

function isRoot(folder: string): boolean {
  const file = path.join(/* turbopackIgnore: true */ folder, "package.json");
  if (!existsSync(file)) return false;
  try {
    return (JSON.parse(readFileSync(file, "utf8")) as { name?: string }).name === "facet";
  } catch {
    return false;
  }
}

/** The folder that holds the project: the working directory or the nearest one above it that is Facet's. */
function findRoot(): string {
  const start = process.cwd();
  for (let folder = start; ; folder = path.dirname(folder)) {
    if (isRoot(folder)) return folder;
    if (path.dirname(folder) === folder) return start;
  }
}

const root = read("FACET_ROOT") ?? findRoot();
const embeddingsUrl = read("FACET_EMBEDDINGS_URL");

export const env = {
  root,
  /** Holds the embedded catalogue, its lock and the images. */
  dataDir: path.resolve(/* turbopackIgnore: true */ root, read("FACET_DATA_DIR") ?? ".facet"),
  /** A PostgreSQL connection string; undefined = the embedded catalogue. */
  databaseUrl: read("DATABASE_URL"),
  /** The exported model that this process runs: its engine.json lies there. */
  engineDir: path.resolve(/* turbopackIgnore: true */ root, read("FACET_ENGINE_DIR") ?? "demo/model"),
  /** `tab`: this server hands the model's files to tabs that ask, and runs none itself. */
  engineInTabOnly: readChoice("FACET_ENGINE", ["server", "tab"]) === "tab",
  /** How long the engine's thread may give no answer to what it is asked. A prompt of many pictures on a slow machine takes it a few seconds. */
  enginePatienceMs: 1000 * (Number(read("FACET_ENGINE_PATIENCE")) || 60),
  /** Python workers that run models in place of this process or beside it, in the order in which they are asked. The token stays in this process. */
  workers: { urls: readUrls("FACET_WORKER_URL"), token: read("FACET_WORKER_TOKEN") },
  logLevel: read("FACET_LOG_LEVEL") ?? "info",
  /** New experiments within an hour; 0 in either switches saving off. */
  saves: { perClient: readCount("FACET_SAVES_PER_CLIENT", 120), perHour: readCount("FACET_SAVES_PER_HOUR", 1_200) },
  /** An OpenAI-compatible endpoint that embeds texts in place of models/minilm; undefined = none. The key stays in this process. */
  embeddings: embeddingsUrl
    ? { url: embeddingsUrl, model: read("FACET_EMBEDDINGS_MODEL") ?? "text-embedding-3-small", key: read("FACET_EMBEDDINGS_KEY") }
    : undefined,
} as const;
