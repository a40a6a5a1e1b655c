/**
 * The embedded database behind `pg`: a worker thread that runs PGlite, and a socket-like stream that carries PostgreSQL's protocol to it.
 * PGlite has one session, so a pool over it has one connection at a time.
 */
import path from "node:path";
import { Duplex } from "node:stream";
import { Worker } from "node:worker_threads";
import { FacetError } from "@/lib/core/errors";
import { env } from "@/lib/env";

const empty = new Uint8Array(0);

interface Pending {
  resolve(bytes: Uint8Array): void;
  reject(error: Error): void;
}

type Reply = { type: "ready" } | { type: "failed"; message: string } | { type: "reply"; id: number; bytes?: Uint8Array; error?: string };

export class PgliteThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #broken: Error | undefined;
  readonly ready: Promise<void>;

  /** `dataDir`: a folder on disk; null keeps everything in memory. `template`: a file that `dump` filled, to begin with. */
  constructor(dataDir: string | null, template?: string) {
    // Built from parts at run time: a bundler must leave the file where it is.
    const file = path.join(/* turbopackIgnore: true */ env.root, "lib", "catalog", "pglite-worker.mjs");
    this.#worker = new Worker(/* turbopackIgnore: true */ file, { workerData: { dataDir, template }, execArgv: [], name: "catalogue" });
    this.ready = new Promise((resolve, reject) => {
      this.#worker.on("message", (message: Reply) => {
        if (message.type === "ready") {
          this.#worker.unref();
          resolve();
        } else if (message.type === "failed") {
          reject(new Error(message.message));
          this.#fail(new Error(message.message));
        } else this.#settle(message);
      });
      this.#worker.on("error", (error) => {
        reject(error);
        this.#fail(error);
      });
      this.#worker.on("exit", (code) => {
        const error = new Error(`The catalogue's thread ended (${code}).`);
        reject(error);
        this.#fail(error);
      });
    });
    // Whoever uses the thread awaits `ready`; a failure that nobody awaited yet must not end the process.
    this.ready.catch(() => {});
  }

  #settle(message: { id: number; bytes?: Uint8Array; error?: string }): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    // An idle database must not keep a finished command alive.
    if (this.#pending.size === 0) this.#worker.unref();
    if (message.error !== undefined) pending?.reject(new Error(message.error));
    else pending?.resolve(message.bytes ?? empty);
  }

  #fail(cause: Error): void {
    // The first cause is the one that says why.
    this.#broken ??= new FacetError("catalogue_unreachable", "The embedded catalogue has stopped.", { fix: "Start Facet again.", cause });
    for (const pending of this.#pending.values()) pending.reject(this.#broken);
    this.#pending.clear();
  }

  #ask(message: { type: "exec"; bytes: Uint8Array } | { type: "close" | "dump" }): Promise<Uint8Array> {
    if (this.#broken) return Promise.reject(this.#broken);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ ...message, id });
    });
  }

  exec(bytes: Uint8Array): Promise<Uint8Array> {
    return this.#ask({ type: "exec", bytes });
  }

  /** The whole database as a tar file, for a template. */
  dump(): Promise<Uint8Array> {
    return this.#ask({ type: "dump" });
  }

  /** Ends the thread amid what it does. The folder is then as if the process had been killed. */
  async halt(): Promise<void> {
    await this.#worker.terminate();
  }

  async close(): Promise<void> {
    if (!this.#broken) await this.#ask({ type: "close" }).catch(() => {});
    await this.#worker.terminate();
  }

  /** A connection for `pg`'s `stream` option. */
  connect(): Duplex {
    return new PgliteSocket(this);
  }
}

/** A frontend message by its letter and body, framed. */
function message(letter: string, body: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.write(letter, 0, "latin1");
  head.writeInt32BE(body.byteLength + 4, 1);
  return Buffer.concat([head, body]);
}

const text = (...strings: string[]) => Buffer.from(strings.map((string) => `${string}\0`).join(""), "utf8");
const queryMessage = (sql: string) => message("Q", text(sql));

/** What a server says to a client that it lets in: authentication is fine, some parameters, ready for a query. */
const greeting = Buffer.concat([
  message("R", Buffer.from([0, 0, 0, 0])),
  message("S", text("server_version", "18.6")),
  message("S", text("client_encoding", "UTF8")),
  message("S", text("standard_conforming_strings", "on")),
  message("S", text("integer_datetimes", "on")),
  message("K", Buffer.alloc(8)),
  message("Z", Buffer.from("I")),
]);

/** PGlite waits for ever for the rows of such a statement: it takes its input whole. */
const copyIn = /^\s*copy\b[^;]*\bfrom\s+stdin\b/i;
const copyRefused = Buffer.concat([
  message("E", text("SERROR", "VERROR", "C0A000", "MCOPY FROM STDIN does not work on the embedded database", "")),
  message("Z", Buffer.from("I")),
]);

/** Letters after which the server answers at once: simple query, sync, flush, function call. */
const answered = new Set(["Q", "S", "H", "F"].map((letter) => letter.charCodeAt(0)));
const terminate = "X".charCodeAt(0);
const query = "Q".charCodeAt(0);

class PgliteSocket extends Duplex {
  readonly #thread: PgliteThread;
  #started = false;
  #input: Buffer = Buffer.alloc(0);

  constructor(thread: PgliteThread) {
    super({ allowHalfOpen: false });
    this.#thread = thread;
  }

  // What `pg` calls on a socket.
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  connect(): this {
    this.#thread.ready.then(
      () => this.emit("connect"),
      (error: Error) => this.destroy(error),
    );
    return this;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#input = this.#input.length ? Buffer.concat([this.#input, chunk]) : chunk;
    this.#advance().then(() => done(), done);
  }

  /** Runs every whole batch of messages that has arrived. */
  async #advance(): Promise<void> {
    if (!this.#started) {
      if (this.#input.length < 4 || this.#input.length < this.#input.readInt32BE(0)) return;
      this.#input = this.#input.subarray(this.#input.readInt32BE(0));
      this.#started = true;
      // The session outlives its connections: forget what the last one left behind.
      await this.#thread.exec(queryMessage("ROLLBACK"));
      await this.#thread.exec(queryMessage("DISCARD ALL"));
      this.push(greeting);
    }
    let end = 0;
    while (this.#input.length >= end + 5) {
      const letter = this.#input[end] as number;
      const next = end + 1 + this.#input.readInt32BE(end + 1);
      if (this.#input.length < next) return;
      if (letter === terminate) {
        this.push(null);
        return;
      }
      end = next;
      if (!answered.has(letter)) continue;
      const batch = new Uint8Array(this.#input.subarray(0, end));
      this.#input = this.#input.subarray(end);
      end = 0;
      const statement = letter === query ? Buffer.from(batch.buffer, 5, Math.min(batch.byteLength - 5, 2_000)).toString("utf8") : "";
      this.push(copyIn.test(statement) ? copyRefused : await this.#thread.exec(batch));
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    this.push(null);
    done();
  }
}

/** Opens the thread and waits for the database in it. Throws `catalogue_unreachable` when the folder cannot be opened. */
export async function openPglite(dataDir: string | null, template?: string): Promise<PgliteThread> {
  const thread = new PgliteThread(dataDir, template);
  try {
    await thread.ready;
  } catch (cause) {
    await thread.close();
    throw new FacetError("catalogue_unreachable", `The embedded catalogue${dataDir ? ` in ${dataDir}` : ""} cannot be opened.`, {
      fix: "Run `npm run facet doctor`; if the folder is damaged, move it away and start again: the catalogue is rebuilt from its bundles.",
      cause,
    });
  }
  return thread;
}
