import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { openDatabase } from "@/lib/catalog/db";
import { FacetError } from "@/lib/core/errors";
import { writeStaticData } from "@/lib/static/write";
import { progressPrinter } from "./progress";

export interface StaticExportOptions {
  /** The pages as Next.js built them (site/out). */
  pages: string;
  out: string;
}

/** Lies in a folder that this command wrote, and in no other: such a folder may be replaced. */
const mark = "facet-copy.json";

/** What a host that reads `_headers` (Netlify, Cloudflare Pages) answers with: the tab's engine computes on several threads only under the middle two. */
const headersFile = `/*
  X-Content-Type-Options: nosniff
  Referrer-Policy: same-origin
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp
  Cross-Origin-Resource-Policy: same-origin
/api/*
  Cache-Control: public, max-age=31536000, immutable
`;

/** The card of a static Space on Hugging Face, which gives the same headers. */
const spaceCard = `---
title: Facet
sdk: static
pinned: false
custom_headers:
  cross-origin-embedder-policy: require-corp
  cross-origin-opener-policy: same-origin
  cross-origin-resource-policy: cross-origin
---

A read-only copy of a Facet catalogue: features of sparse autoencoders inside a multimodal model. Files alone; pictures of one's own and steering run in
the visitor's browser.
`;

/** Beside the worker that Turbopack builds it leaves the worker's source as a file, whose address is in no program. */
export const isAsked = (file: string): boolean => !/[\\/]static[\\/]media[\\/][^\\/]+\.ts$/.test(file);

const inlineScript = /<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g;

/** A page with the policy that its own inline scripts pass, by their hashes, and no other. */
export function withPolicy(html: string): string {
  const hashes = [...html.matchAll(inlineScript)].map(
    ([, text]) =>
      `'sha256-${createHash("sha256")
        .update(text ?? "")
        .digest("base64")}'`,
  );
  const policy = [
    "default-src 'none'",
    `script-src 'self' ${[...new Set(hashes)].join(" ")}`.trim(),
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' blob: data:",
    "font-src 'self'",
    "connect-src 'self' data:",
    "worker-src 'self' blob:",
    "manifest-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
  ].join("; ");
  return html.replace(/<head([^>]*)>/, (head) => `${head}<meta http-equiv="Content-Security-Policy" content="${policy}"/>`);
}

async function pagesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true });
  return entries.filter((name) => name.endsWith(".html")).map((name) => path.join(folder, name));
}

async function assertOurs(out: string): Promise<void> {
  const names = await readdir(out).catch(() => [] as string[]);
  if (names.length === 0 || names.includes(mark)) return;
  throw new FacetError("invalid_request", `The folder ${out} is not empty, and is no copy that this command wrote.`, {
    fix: "Name another folder with --out, or empty this one.",
  });
}

/**
 * Writes pages and data beside the folder, then puts them in its place: it is the old copy or the new one whole. Throws `invalid_request` where the folder
 * holds something else.
 */
export async function exportStatic({ pages, out }: StaticExportOptions): Promise<{ files: number; bytes: number }> {
  const target = path.resolve(out);
  await assertOurs(target);
  const staging = `${target}.writing-${process.pid}`;
  const old = `${target}.old-${process.pid}`;
  const db = await openDatabase();
  const progress = progressPrinter();
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    await rm(staging, { recursive: true, force: true });
    await mkdir(staging, { recursive: true });
    const written = await writeStaticData({ db, dir: staging, say: progress.show, signal: stop.signal });
    progress.show({ stage: "pages", done: 0, total: 0 });
    await cp(pages, staging, { recursive: true, filter: isAsked });
    for (const page of await pagesUnder(staging)) await writeFile(page, withPolicy(await readFile(page, "utf8")));
    await copyFile("app/icon.svg", path.join(staging, "icon.svg"));
    await cp("public", staging, { recursive: true });
    await writeFile(path.join(staging, "_headers"), headersFile);
    await writeFile(path.join(staging, "README.md"), spaceCard);
    await writeFile(path.join(staging, ".nojekyll"), "");
    await writeFile(path.join(staging, mark), `${JSON.stringify({ format: "facet-copy/1" })}\n`);
    await assertOurs(target);
    if (existsSync(target)) await rename(target, old);
    await rename(staging, target);
    await rm(old, { recursive: true, force: true });
    return written;
  } finally {
    progress.end();
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
    await rm(staging, { recursive: true, force: true });
    await db.close();
  }
}
