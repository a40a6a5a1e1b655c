/**
 * Reading npz: a zip archive of `.npy` arrays, each a header written as a Python literal and then the elements. Arrays that are stored as
 * they are (`np.savez`) are read where they lie; packed ones (`np.savez_compressed`) are unpacked into memory and may not be large. Arrays
 * of Python objects are pickles and refused.
 */
import { openPromise as openZip } from "yauzl";
import { FacetError } from "@/lib/core/errors";
import { elementBytes, readBytes, withFile } from "./safetensors";
import { invalidFile, refusedPickle } from "./source";
import type { StoredTensor } from "./tensor-set";

/** Type codes of NumPy → names of safetensors. */
const types: Record<string, string> = {
  f8: "F64",
  f4: "F32",
  f2: "F16",
  i8: "I64",
  i4: "I32",
  i2: "I16",
  i1: "I8",
  u8: "U64",
  u4: "U32",
  u2: "U16",
  u1: "U8",
  b1: "BOOL",
};

const maxHeader = 1 << 20;
/** How much packed arrays may take when unpacked. */
const maxUnpacked = 256 * 1024 * 1024;

const convert = (file: string) =>
  `Convert it where you trust it: python -c "import numpy as np; d = dict(np.load('${file}', allow_pickle=True)); np.savez('converted.npz', **{k: np.asarray(v.tolist()) for k, v in d.items()})".`;

/** Header of a `.npy`: where its elements begin, and what they are. Throws `unsafe_format` for Python objects. */
export function parseNpyHeader(
  file: string,
  name: string,
  bytes: Uint8Array,
): { dtype: string; shape: number[]; columnMajor: boolean; start: number } {
  const broken = (what: string) =>
    invalidFile(`${file}: ${name} ${what}`, "Copy or download the file again, or write it again with np.savez.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 10 || Buffer.from(bytes.subarray(0, 6)).toString("latin1") !== "\x93NUMPY") throw broken("is no NumPy array.");
  const major = bytes[6] as number;
  const wide = major > 1;
  if (bytes.length < 12) throw broken("is cut short.");
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = (wide ? 12 : 10) + length;
  if (length > maxHeader || start > bytes.length) throw broken("has a header that is cut short.");
  const text = Buffer.from(bytes.subarray(wide ? 12 : 10, start)).toString("latin1");
  const descr = /'descr':\s*'([^']+)'/.exec(text)?.[1];
  const fortran = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape':\s*\(([\d,\sL]*)\)/.exec(text)?.[1];
  if (descr === undefined && /'descr':\s*\[/.test(text)) throw broken("holds records, which are no tensor.");
  if (descr === undefined || fortran === undefined || shape === undefined) throw broken("has a header that cannot be read.");
  if (descr.includes("O")) throw refusedPickle(`${file} (${name})`, convert(file));
  const order = descr[0] as string;
  const dtype = types[descr.replace(/^[<>|=]/, "")];
  if (dtype === undefined || order === ">") {
    throw invalidFile(`${file}: ${name} has the type ${descr}, which Facet does not read.`, "Save it as little-endian float32 or float16.");
  }
  const sizes = shape
    .split(",")
    .map((part) => part.replace("L", "").trim())
    .filter(Boolean)
    .map(Number);
  return { dtype, shape: sizes, columnMajor: fortran === "True" && sizes.length > 1, start };
}

/** The arrays of an npz. Throws `file_invalid`, naming file and array, and `unsafe_format`. */
export async function readNpz(file: string): Promise<StoredTensor[]> {
  const found: StoredTensor[] = [];
  let unpacked = 0;
  try {
    const zip = await openZip(file, { autoClose: false });
    try {
      for await (const entry of zip.eachEntry()) {
        if (!entry.fileName.endsWith(".npy")) continue;
        const name = entry.fileName.slice(0, -4);
        if (found.some((tensor) => tensor.name === name))
          throw invalidFile(`${file} has the array ${name} twice.`, "Write it again with np.savez.");
        const total = entry.uncompressedSize;
        let bytes: Uint8Array<ArrayBuffer> | undefined;
        let head: Uint8Array<ArrayBuffer>;
        let at = 0;
        if (entry.compressionMethod === 0) {
          at = (await zip.readLocalFileHeaderPromise(entry, { minimal: true })).fileDataStart;
          if (at + total > zip.fileSize) throw invalidFile(`${file}: ${name} ends beyond the file.`, "Copy or download the file again.");
          const wanted = Math.min(total, maxHeader + 12);
          head = await withFile(file, (handle) => readBytes(handle, file, at, Math.min(wanted, 4096)));
          // Headers are far shorter; a longer one is read whole.
          const long = head.length >= 12 && 12 + new DataView(head.buffer).getUint32(8, true) > head.length && (head[6] as number) > 1;
          if (long) head = await withFile(file, (handle) => readBytes(handle, file, at, wanted));
        } else {
          unpacked += total;
          if (unpacked > maxUnpacked) {
            throw invalidFile(
              `${file} is a packed npz of more than ${maxUnpacked / 1024 / 1024} MB, which cannot be read in blocks.`,
              "Write it again with np.savez (not savez_compressed), or as safetensors.",
            );
          }
          bytes = new Uint8Array(total);
          let done = 0;
          for await (const chunk of await zip.openReadStreamPromise(entry)) {
            bytes.set(chunk as Buffer, done);
            done += (chunk as Buffer).length;
          }
          head = bytes;
        }
        const { dtype, shape, columnMajor, start } = parseNpyHeader(file, name, head);
        const length = shape.reduce((product, n) => product * n, elementBytes[dtype] as number);
        if (start + length !== total) {
          throw invalidFile(`${file}: ${name} should take ${length} bytes and takes ${total - start}.`, "Copy or download the file again.");
        }
        found.push({
          name,
          file,
          dtype,
          shape,
          start: at + start,
          end: at + start + length,
          columnMajor,
          ...(bytes && { bytes: bytes.slice(start) }),
        });
      }
    } finally {
      zip.close();
    }
  } catch (error) {
    if (error instanceof FacetError) throw error;
    throw invalidFile(`${file} is not a complete npz archive.`, "Copy or download the file again.", error);
  }
  return found;
}
