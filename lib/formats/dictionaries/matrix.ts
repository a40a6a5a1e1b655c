/** A matrix with one row for each latent, read in blocks of rows however it is stored. */
import { toFloat32 } from "../floats";
import { elementBytes, withFile } from "../safetensors";
import { type StoredTensor, tensorBytes } from "../tensor-set";

/** Which axis of a stored matrix counts the latents. */
export type LatentAxis = 0 | 1;

export interface Matrix {
  rows: number;
  cols: number;
  /** Rows `start` to `end` (exclusive), row-major float32. Memory is that of the block and of one band of the file. */
  read(start: number, end: number): Promise<Float32Array>;
}

/** How much of a matrix that is stored the other way round is held, so that neighbouring blocks do not read the file anew. */
const bandBytes = 32 * 1024 * 1024;
/** Reads at once while a band is gathered. */
const parallel = 16;

interface Band {
  start: number;
  end: number;
  /** [cols, end - start], as stored. */
  data: Float32Array;
}

function assertRange(start: number, end: number, rows: number): void {
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end < start || end > rows) {
    throw new RangeError(`Rows ${start} to ${end} of a matrix of ${rows}.`);
  }
}

/** The matrix of `tensor` (two axes) whose axis `latents` counts the latents. */
export function matrixOf(tensor: StoredTensor, latents: LatentAxis): Matrix {
  const rows = tensor.shape[latents] as number;
  const cols = tensor.shape[1 - latents] as number;
  const width = elementBytes[tensor.dtype] as number;
  // In Fortran's order the first axis runs fastest, so that what counts is whether a latent's elements lie side by side.
  const together = (latents === 0) !== (tensor.columnMajor ?? false);
  if (together) {
    return {
      rows,
      cols,
      read(start, end) {
        assertRange(start, end, rows);
        return withFile(tensor.file, async (handle) =>
          toFloat32(tensor.dtype, await tensorBytes(handle, tensor, start * cols * width, (end - start) * cols * width)),
        );
      },
    };
  }

  let held: Promise<Band> | undefined;
  let range = { start: 0, end: 0 };
  async function gather(start: number, end: number): Promise<Band> {
    const data = new Float32Array(cols * (end - start));
    await withFile(tensor.file, async (handle) => {
      let next = 0;
      const worker = async () => {
        while (next < cols) {
          const col = next++;
          const bytes = await tensorBytes(handle, tensor, (col * rows + start) * width, (end - start) * width);
          data.set(toFloat32(tensor.dtype, bytes), col * (end - start));
        }
      };
      await Promise.all(Array.from({ length: Math.min(parallel, cols) }, worker));
    });
    return { start, end, data };
  }
  const atLeast = Math.max(1, Math.floor(bandBytes / (4 * Math.max(cols, 1))));
  return {
    rows,
    cols,
    async read(start, end) {
      assertRange(start, end, rows);
      const out = new Float32Array((end - start) * cols);
      for (let from = start; from < end; ) {
        if (!held || from < range.start || from >= range.end) {
          range = { start: from, end: Math.min(rows, from + atLeast) };
          held = gather(range.start, range.end);
        }
        const band = await held;
        const to = Math.min(end, band.end);
        const span = band.end - band.start;
        for (let row = from; row < to; row++) {
          for (let col = 0; col < cols; col++) out[(row - start) * cols + col] = band.data[col * span + row - band.start] as number;
        }
        from = to;
      }
      return out;
    },
  };
}

/** Rows that are read at once when a whole matrix is gone through. */
const blockElements = 4 * 1024 * 1024;

/** All rows in blocks of at most 16 MB. */
export async function* blocks(matrix: Matrix): AsyncGenerator<{ start: number; rows: number; data: Float32Array }> {
  const step = Math.max(1, Math.floor(blockElements / Math.max(matrix.cols, 1)));
  for (let start = 0; start < matrix.rows; start += step) {
    const rows = Math.min(step, matrix.rows - start);
    yield { start, rows, data: await matrix.read(start, start + rows) };
  }
}

/** Euclidean length of each row. */
export async function rowNorms(matrix: Matrix): Promise<Float32Array> {
  const norms = new Float32Array(matrix.rows);
  for await (const { start, rows, data } of blocks(matrix)) {
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let col = 0; col < matrix.cols; col++) sum += (data[row * matrix.cols + col] as number) ** 2;
      norms[start + row] = Math.sqrt(sum);
    }
  }
  return norms;
}

/** The matrix with each row multiplied by its factor. */
export function scaled(matrix: Matrix, factors: Float32Array): Matrix {
  return {
    ...matrix,
    async read(start, end) {
      const data = await matrix.read(start, end);
      for (let row = start; row < end; row++) {
        const factor = factors[row] as number;
        for (let i = (row - start) * matrix.cols; i < (row - start + 1) * matrix.cols; i++) data[i] = (data[i] as number) * factor;
      }
      return data;
    },
  };
}
