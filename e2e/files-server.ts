/** A server that knows nothing but files, as the plainest hosts do: no routes, no ranges, no headers of ours. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".webp": "image/webp",
  ".wasm": "application/wasm",
  ".txt": "text/plain",
};

export interface FilesServer {
  /** Where the folder lies, with a / at its end. */
  address: string;
  /** Paths that were asked for and are no files of the folder. */
  missed: string[];
  /** Requests that were no GET. */
  written: string[];
  close(): Promise<void>;
}

/** Serves `folder` under `base` (`/some/path`), and nothing at any other address. */
export async function serveFiles(folder: string, base: string): Promise<FilesServer> {
  const missed: string[] = [];
  const written: string[] = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://files");
    if (request.method !== "GET" && request.method !== "HEAD") written.push(`${request.method} ${pathname}`);
    // A browser asks a host for this of its own accord, now and then, though every page names its icon.
    if (pathname === "/favicon.ico") return response.writeHead(204).end();
    try {
      if (!pathname.startsWith(`${base}/`)) throw new Error("elsewhere");
      const asked = path.normalize(decodeURIComponent(pathname.slice(base.length)));
      const name = path.join(folder, asked, asked.endsWith("/") ? "index.html" : "");
      const body = await readFile(name);
      response.writeHead(200, { "Content-Type": types[path.extname(name)] ?? "application/octet-stream", "Content-Length": body.length });
      response.end(body);
    } catch {
      missed.push(pathname);
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}${base}/`,
    missed,
    written,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
