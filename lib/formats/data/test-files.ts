/** Files for tests. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";

/** Writes a file below a folder, which is made where it is not there; answers with its path. */
export async function writeInto(folder: string, name: string, content: string | Uint8Array): Promise<string> {
  const file = path.join(folder, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}
