/**
 * A part of a picture, painted over the grid of its image tokens: a mask of 4 × 4 samples a cell, so that a cell can be covered in part. Points are
 * in cells from the picture's upper left corner: x in 0..cols, y in 0..rows.
 */

/** Samples along a cell's side. */
export const samplesPerCell = 4;
/** Rows and columns of the finest grid that a region can lie on. */
export const longestSide = 64;
/** Characters of the longest code that is read. */
export const longestCode = 4_000;

export interface Region {
  rows: number;
  cols: number;
  /** (4·rows) × (4·cols), row-major; 1 inside. */
  mask: Uint8Array;
}

export interface Point {
  x: number;
  y: number;
}

export type Shape =
  /** All that is no farther than `radius` cells from the path. */
  | { kind: "brush"; path: readonly Point[]; radius: number }
  | { kind: "box"; from: Point; to: Point }
  /** The inside of the closed path, by the even-odd rule. */
  | { kind: "lasso"; path: readonly Point[] };

export function emptyRegion(rows: number, cols: number): Region {
  return { rows, cols, mask: new Uint8Array(samplesPerCell ** 2 * rows * cols) };
}

export const isEmpty = (region: Region): boolean => !region.mask.includes(1);

export function sameRegion(a: Region, b: Region): boolean {
  return a.rows === b.rows && a.cols === b.cols && a.mask.every((sample, i) => sample === b.mask[i]);
}

/** The box of one cell, row-major. */
export function cellBox(cell: number, cols: number): Shape {
  const [x, y] = [cell % cols, Math.floor(cell / cols)];
  return { kind: "box", from: { x, y }, to: { x: x + 1, y: y + 1 } };
}

/** The box of all cells between two, both included. */
export function cellsBox(a: number, b: number, cols: number): Shape {
  const [ax, ay, bx, by] = [a % cols, Math.floor(a / cols), b % cols, Math.floor(b / cols)];
  return {
    kind: "box",
    from: { x: Math.min(ax, bx), y: Math.min(ay, by) },
    to: { x: Math.max(ax, bx) + 1, y: Math.max(ay, by) + 1 },
  };
}

function squaredDistance({ x, y }: Point, a: Point, b: Point): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const t = length === 0 ? 0 : Math.max(0, Math.min(1, ((x - a.x) * dx + (y - a.y) * dy) / length));
  return (x - a.x - t * dx) ** 2 + (y - a.y - t * dy) ** 2;
}

function insidePath({ x, y }: Point, path: readonly Point[]): boolean {
  let inside = false;
  for (let i = 0; i < path.length; i++) {
    const a = path[i] as Point;
    const b = path[(i + 1) % path.length] as Point;
    if (a.y > y !== b.y > y && x < a.x + ((b.x - a.x) * (y - a.y)) / (b.y - a.y)) inside = !inside;
  }
  return inside;
}

/** Whether a point lies in a shape. */
function covers(shape: Shape, point: Point): boolean {
  switch (shape.kind) {
    case "brush":
      return shape.path.some((a, i) => squaredDistance(point, a, shape.path[i + 1] ?? a) <= shape.radius ** 2);
    case "box": {
      const { from, to } = shape;
      const between = (at: number, a: number, b: number) => at >= Math.min(a, b) && at <= Math.max(a, b);
      return between(point.x, from.x, to.x) && between(point.y, from.y, to.y);
    }
    case "lasso":
      return insidePath(point, shape.path);
  }
}

/** Rows and columns of samples outside of which the shape has none. */
function reach(shape: Shape, rows: number, cols: number) {
  const points = shape.kind === "box" ? [shape.from, shape.to] : shape.path;
  const margin = shape.kind === "brush" ? shape.radius : 0;
  const clamp = (at: number, most: number) => Math.max(0, Math.min(most, at));
  const range = (values: number[], size: number): [number, number] => [
    clamp(Math.floor((Math.min(...values) - margin) * samplesPerCell), size * samplesPerCell),
    clamp(Math.ceil((Math.max(...values) + margin) * samplesPerCell), size * samplesPerCell),
  ];
  const [left, right] = range(
    points.map(({ x }) => x),
    cols,
  );
  const [top, bottom] = range(
    points.map(({ y }) => y),
    rows,
  );
  return { left, right, top, bottom };
}

/** The region with the shape added to it, or taken from it. A sample belongs to a shape where its middle does. */
export function paintShape(region: Region, shape: Shape, erase = false): Region {
  const { rows, cols } = region;
  if (shape.kind !== "box" && shape.path.length === 0) return region;
  const mask = region.mask.slice();
  const width = samplesPerCell * cols;
  const { left, right, top, bottom } = reach(shape, rows, cols);
  for (let row = top; row < bottom; row++) {
    for (let col = left; col < right; col++) {
      if (covers(shape, { x: (col + 0.5) / samplesPerCell, y: (row + 0.5) / samplesPerCell })) mask[row * width + col] = erase ? 0 : 1;
    }
  }
  return { rows, cols, mask };
}

/** The share of each cell that the region covers, 0..1, row-major; on another grid over the same picture where one is given. */
export function coverage(region: Region, rows = region.rows, cols = region.cols): Float32Array {
  const width = samplesPerCell * region.cols;
  const height = samplesPerCell * region.rows;
  const shares = new Float32Array(rows * cols);
  if (rows === region.rows && cols === region.cols) {
    region.mask.forEach((sample, i) => {
      if (!sample) return;
      const cell = Math.floor(i / width / samplesPerCell) * cols + Math.floor((i % width) / samplesPerCell);
      shares[cell] = (shares[cell] as number) + 1 / samplesPerCell ** 2;
    });
    return shares;
  }
  // Samples of the other grid's cells, looked up in the mask.
  for (let row = 0; row < rows * samplesPerCell; row++) {
    const from = Math.floor(((row + 0.5) / (rows * samplesPerCell)) * height) * width;
    for (let col = 0; col < cols * samplesPerCell; col++) {
      const sample = region.mask[from + Math.floor(((col + 0.5) / (cols * samplesPerCell)) * width)];
      const cell = Math.floor(row / samplesPerCell) * cols + Math.floor(col / samplesPerCell);
      if (sample) shares[cell] = (shares[cell] as number) + 1 / samplesPerCell ** 2;
    }
  }
  return shares;
}

/** The region's outline as an SVG path in cells, along the samples' edges. */
export function outline(region: Region): string {
  const width = samplesPerCell * region.cols;
  const height = samplesPerCell * region.rows;
  const at = (row: number, col: number) =>
    row < 0 || col < 0 || row >= height || col >= width ? 0 : (region.mask[row * width + col] ?? 0);
  const size = (samples: number) => samples / samplesPerCell;
  const parts: string[] = [];
  for (let row = 0; row <= height; row++) {
    for (let col = 0, start = -1; col <= width; col++) {
      const edge = col < width && at(row, col) !== at(row - 1, col);
      if (edge && start < 0) start = col;
      if (!edge && start >= 0) {
        parts.push(`M${size(start)} ${size(row)}H${size(col)}`);
        start = -1;
      }
    }
  }
  for (let col = 0; col <= width; col++) {
    for (let row = 0, start = -1; row <= height; row++) {
      const edge = row < height && at(row, col) !== at(row, col - 1);
      if (edge && start < 0) start = row;
      if (!edge && start >= 0) {
        parts.push(`M${size(col)} ${size(start)}V${size(row)}`);
        start = -1;
      }
    }
  }
  return parts.join("");
}

/** The region's samples as an SVG path in cells, to be filled: one rectangle a run. */
export function filling(region: Region): string {
  const width = samplesPerCell * region.cols;
  const size = (samples: number) => samples / samplesPerCell;
  const parts: string[] = [];
  for (let row = 0; row < samplesPerCell * region.rows; row++) {
    for (let col = 0, start = -1; col <= width; col++) {
      const inside = col < width && region.mask[row * width + col] === 1;
      if (inside && start < 0) start = col;
      if (!inside && start >= 0) {
        parts.push(`M${size(start)} ${size(row)}H${size(col)}V${size(row + 1)}H${size(start)}Z`);
        start = -1;
      }
    }
  }
  return parts.join("");
}

/**
 * For addresses: `<rows>x<cols>` and the lengths of runs of samples in row-major order, outside and inside by turns and beginning outside, in base 36
 * after a dot each; the last run outside is left out. Empty for an empty region. Longer than `longestCode` where it is too ragged to be sent.
 */
export function encodeRegion(region: Region): string {
  const runs: number[] = [];
  let inside = 0;
  let length = 0;
  for (const sample of region.mask) {
    if (sample !== inside) {
      runs.push(length);
      length = 0;
      inside = sample;
    }
    length++;
  }
  if (inside) runs.push(length);
  return runs.length === 0 ? "" : `${region.rows}x${region.cols}.${runs.map((run) => run.toString(36)).join(".")}`;
}

/** The inverse of `encodeRegion`; null for what is no code of a region. */
export function decodeRegion(code: string): Region | null {
  if (code.length > longestCode) return null;
  const found = /^(\d{1,2})x(\d{1,2})((?:\.[0-9a-z]{1,4})+)$/.exec(code);
  if (!found) return null;
  const [rows, cols] = [Number(found[1]), Number(found[2])];
  if (rows < 1 || cols < 1 || rows > longestSide || cols > longestSide) return null;
  const region = emptyRegion(rows, cols);
  let at = 0;
  for (const [i, run] of (found[3] as string).slice(1).split(".").entries()) {
    const length = Number.parseInt(run, 36);
    if (at + length > region.mask.length) return null;
    if (i % 2 === 1) region.mask.fill(1, at, at + length);
    at += length;
  }
  return isEmpty(region) ? null : region;
}
