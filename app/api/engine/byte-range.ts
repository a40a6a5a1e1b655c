/** Of a `Range` header: one range of bytes. Null where the whole is to be answered, which is the right answer to any that is not understood. */
export function parseRange(header: string | null, size: number): { first: number; last: number } | "unsatisfiable" | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match) return null;
  const [, from = "", to = ""] = match;
  if (from === "" && to === "") return null;
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (from !== "" && to !== "" && Number(from) > Number(to)) return null;
  return first >= size || (from === "" && Number(to) === 0) ? "unsatisfiable" : { first, last };
}
