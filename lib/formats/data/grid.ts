/** How the tokens of an image lie: rows × columns, row by row. */
import { invalidFile } from "../source";

export interface Grid {
  rows: number;
  cols: number;
}

/** The paper's: LLaVA-NeXT's 576 base tokens; what follows them are tiles in higher resolution. */
export const paperGrid: Grid = { rows: 24, cols: 24 };

/** "24x24" or "24×24" as a person gives it. Throws `file_invalid`. */
export function parseGrid(text: string): Grid {
  const match = /^\s*(\d{1,4})\s*[x×]\s*(\d{1,4})\s*$/i.exec(text);
  const grid = { rows: Number(match?.[1]), cols: Number(match?.[2]) };
  if (!match || grid.rows < 1 || grid.cols < 1 || grid.rows * grid.cols > 65_536) {
    throw invalidFile(
      `The grid "${text.slice(0, 40)}" is not of the form 24x24.`,
      "Give rows and columns of the image's tokens, for example --grid 24x24.",
    );
  }
  return grid;
}

/** The square grid of that many cells; null where there is none. */
export function squareGrid(cells: number): Grid | null {
  const side = Math.round(Math.sqrt(cells));
  return side > 0 && side * side === cells ? { rows: side, cols: side } : null;
}
