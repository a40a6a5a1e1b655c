/** Cells of a picture's grid, row-major: what a region scope covers. */

export interface Grid {
  rows: number;
  cols: number;
}

/** The middle third of the grid, to start from. */
export function middleCells({ rows, cols }: Grid): number[] {
  const from = (n: number) => Math.floor(n / 3);
  const to = (n: number) => Math.max(from(n) + 1, n - Math.floor(n / 3));
  const cells: number[] = [];
  for (let row = from(rows); row < to(rows); row++) for (let col = from(cols); col < to(cols); col++) cells.push(row * cols + col);
  return cells;
}

/** Paints or erases one cell. The last one stays: a region of none would be applied nowhere. */
export function withCell(cells: readonly number[], cell: number, painted: boolean): number[] {
  const next = new Set(cells);
  if (painted) next.add(cell);
  else if (next.size > 1) next.delete(cell);
  return [...next].sort((a, b) => a - b);
}

/** The cell after an arrow key, staying inside the grid; null when the key is not an arrow. */
export function cellAfterKey(cell: number, key: string, { rows, cols }: Grid): number | null {
  const row = Math.floor(cell / cols);
  const col = cell % cols;
  switch (key) {
    case "ArrowUp":
      return Math.max(0, row - 1) * cols + col;
    case "ArrowDown":
      return Math.min(rows - 1, row + 1) * cols + col;
    case "ArrowLeft":
      return row * cols + Math.max(0, col - 1);
    case "ArrowRight":
      return row * cols + Math.min(cols - 1, col + 1);
    default:
      return null;
  }
}
