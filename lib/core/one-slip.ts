/** Whether one slip of the fingers makes `a` of `b`: a letter too many or too few, another letter, or two letters the wrong way round. */
export function isOneSlip(a: string, b: string): boolean {
  const [x, y] = [[...a], [...b]];
  if (a === b || Math.abs(x.length - y.length) > 1) return false;
  let start = 0;
  while (start < Math.min(x.length, y.length) && x[start] === y[start]) start++;
  let end = 0;
  while (end < Math.min(x.length, y.length) - start && x[x.length - 1 - end] === y[y.length - 1 - end]) end++;
  const [left, right] = [x.slice(start, x.length - end), y.slice(start, y.length - end)];
  if (left.length <= 1 && right.length <= 1) return true;
  return left.length === 2 && right.length === 2 && left[0] === right[1] && left[1] === right[0];
}
