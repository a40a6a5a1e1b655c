/** Temporary files without a name: nothing is left behind however the process ends. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

/** Whoever reads comes back whenever it likes, and nobody says when the last time has been: the descriptor goes with its owner. */
const closing = new FinalizationRegistry<number>((descriptor) => closeSync(descriptor));

/** Bytes at places, on disk. */
export class TempFile {
  readonly #descriptor: number;

  constructor() {
    const folder = mkdtempSync(path.join(tmpdir(), "facet-import-"));
    const file = path.join(folder, "rows");
    this.#descriptor = openSync(file, "w+");
    closing.register(this, this.#descriptor);
    try {
      // An open file lives on without its name.
      rmSync(file);
      rmdirSync(folder);
    } catch {
      process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    }
  }

  write(bytes: Uint8Array, place: number): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done, bytes.length - done, place + done);
  }

  /** At most `length` bytes from `place`; fewer at the end of the file. */
  read(place: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const read = readSync(this.#descriptor, bytes, done, length - done, place + done);
      if (read === 0) break;
      done += read;
    }
    return bytes.subarray(0, done);
  }

  truncate(): void {
    ftruncateSync(this.#descriptor, 0);
  }
}

export const cutShort = () => new Error("A temporary file of the import was cut short.");

const header = 4;
/** Most records are read in one go. */
const firstRead = 4_096;
const pendingBytes = 1 << 20;

/** Values on disk, found again by the place that adding each answered with. */
export class RecordFile {
  readonly #file = new TempFile();
  #end = 0;
  #pending: Buffer[] = [];
  #unwritten = 0;

  /** Answers with the record's place. */
  add(bytes: Uint8Array): number {
    const place = this.#end;
    const record = Buffer.allocUnsafe(header + bytes.length);
    record.writeUInt32LE(bytes.length, 0);
    record.set(bytes, header);
    this.#pending.push(record);
    this.#end += record.length;
    this.#unwritten += record.length;
    if (this.#unwritten >= pendingBytes) this.#flush();
    return place;
  }

  #flush(): void {
    if (this.#unwritten === 0) return;
    this.#file.write(Buffer.concat(this.#pending), this.#end - this.#unwritten);
    this.#pending = [];
    this.#unwritten = 0;
  }

  read(place: number): Buffer {
    this.#flush();
    const beginning = this.#file.read(place, Math.min(firstRead, this.#end - place));
    if (beginning.length < header) throw cutShort();
    const length = beginning.readUInt32LE(0);
    if (header + length <= beginning.length) return beginning.subarray(header, header + length);
    const whole = this.#file.read(place + header, length);
    if (whole.length < length) throw cutShort();
    return whole;
  }

  /** Forgets everything. */
  clear(): void {
    this.#file.truncate();
    this.#end = 0;
    this.#pending = [];
    this.#unwritten = 0;
  }
}
