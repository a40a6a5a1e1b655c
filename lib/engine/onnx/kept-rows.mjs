/** What the runtimes do with the tensors that they keep, all of float32, row-major. */

/** @typedef {{ data: Float32Array, dims: number[] }} Rows */

/**
 * Rows of tensors along their first dimension, in the order given; all must be equally long.
 * @param {readonly { tensor: { data: unknown, dims: readonly number[] }, row: number }[]} rows at least one
 * @returns {Rows}
 */
export function gatherRows(rows) {
  const [, ...rest] = /** @type {{ tensor: { dims: readonly number[] } }} */ (rows[0]).tensor.dims;
  const length = rest.reduce((product, dim) => product * dim, 1);
  const data = new Float32Array(rows.length * length);
  for (const [i, { tensor, row }] of rows.entries()) {
    data.set(/** @type {Float32Array} */ (tensor.data).subarray(row * length, (row + 1) * length), i * length);
  }
  return { data, dims: [rows.length, ...rest] };
}

/**
 * The first `length` positions of a tensor [batch, heads, positions, width].
 * @param {{ data: unknown, dims: readonly number[] }} tensor
 * @param {number} length
 * @returns {Rows}
 */
export function firstPositions(tensor, length) {
  const [batch, heads, positions, width] = /** @type {[number, number, number, number]} */ (tensor.dims);
  const from = /** @type {Float32Array} */ (tensor.data);
  const data = new Float32Array(batch * heads * length * width);
  for (let i = 0; i < batch * heads; i++) {
    const start = i * positions * width;
    data.set(from.subarray(start, start + length * width), i * length * width);
  }
  return { data, dims: [batch, heads, length, width] };
}
