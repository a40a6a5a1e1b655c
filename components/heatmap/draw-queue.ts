/**
 * Canvases that wait to be drawn: a few milliseconds at a time while the browser is idle, so that scrolling past many pictures never
 * waits for heat. Callers cancel what has left the page.
 */
const waiting = new Set<() => void>();
let scheduled = false;
const budgetMs = 6;

function run(): void {
  scheduled = false;
  const start = performance.now();
  for (const task of waiting) {
    waiting.delete(task);
    task();
    if (performance.now() - start > budgetMs) break;
  }
  if (waiting.size) schedule();
}

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  if (typeof requestIdleCallback === "function") requestIdleCallback(run, { timeout: 60 });
  else setTimeout(run, 0);
}

/** Runs `task` soon; the answer takes it back. */
export function drawSoon(task: () => void): () => void {
  waiting.add(task);
  schedule();
  return () => waiting.delete(task);
}
