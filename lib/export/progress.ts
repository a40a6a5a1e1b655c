/** How far a file has come: rows or features of `total`. */
export type OnProgress = (file: string, done: number, total: number) => void;
