/** Pickles are known by their first bytes and refused: loading one can run any code. */
import path from "node:path";
import { readBytes, withFile } from "../safetensors";
import { refusedPickle } from "../source";

/** Whether a file is a pickle, or a zip archive that holds one as PyTorch writes it, or a NumPy array of objects. Reads 4 kB. */
export async function isPickle(file: string): Promise<boolean> {
  const head = await withFile(file, async (handle) => {
    const { size } = await handle.stat();
    return Buffer.from(await readBytes(handle, file, 0, Math.min(size, 4096)));
  });
  // Protocol 2 and later begin with their number; every pickle of weights is one of these.
  if (head.length > 2 && head[0] === 0x80 && (head[1] as number) >= 2 && (head[1] as number) <= 5) return true;
  const text = head.toString("latin1");
  if (text.startsWith("PK\x03\x04")) {
    const length = head.length > 30 ? head.readUInt16LE(26) : 0;
    return text.slice(30, 30 + length).endsWith("data.pkl");
  }
  return text.startsWith("\x93NUMPY") && /'descr':\s*'[<>|]?O/.test(text);
}

/** How the weights in a pickle become safetensors, as one command. */
export function refuseWeights(file: string): Error {
  const name = path.basename(file);
  const to = `${name.replace(/\.[^.]*$/, "")}.safetensors`;
  if (name.endsWith(".npy")) {
    return refusedPickle(file, `Where you trust it, save its numbers without objects: numpy.save("${name}", array.astype("float32")).`);
  }
  return refusedPickle(
    file,
    `Convert it to safetensors beside it, then import the folder: python -c "import torch; from safetensors.torch import save_file; save_file({k: v.contiguous() for k, v in torch.load('${name}', map_location='cpu', weights_only=True).items() if torch.is_tensor(v)}, '${to}')".`,
  );
}
