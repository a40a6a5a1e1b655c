"use client";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { setOverlay, useOverlay } from "./overlays";

const groups: ReadonlyArray<{ title: string; keys: ReadonlyArray<readonly [keys: string[], what: string]> }> = [
  {
    title: "Everywhere",
    keys: [
      [["/"], "Search"],
      [["Ctrl K", "⌘ K"], "Jump to a feature or a dictionary"],
      [["?"], "This help"],
    ],
  },
  {
    title: "In a list of features",
    keys: [
      [["j", "k"], "Next, previous"],
      [["←", "→", "↑", "↓"], "Move in the grid"],
      [["Enter"], "Open"],
      [["s"], "Steer"],
      [["c"], "Copy the link"],
      [["n"], "Next picture of the card"],
      [["h"], "Heat on or off"],
    ],
  },
  {
    title: "On a feature",
    keys: [
      [["←", "→"], "Previous, next picture"],
      [["j", "]"], "Next feature of the list"],
      [["k", "["], "Previous feature of the list"],
      [["h"], "Heat on or off"],
    ],
  },
  {
    title: "In the sandbox",
    keys: [
      [["Ctrl Enter", "⌘ Enter"], "Run"],
      [["Esc"], "Stop"],
      [["←", "→"], "On a clamp's slider: 0.1 (with Shift: 1)"],
      [["←", "→", "Home", "End"], "On an answer: its tokens, one by one"],
    ],
  },
  {
    title: "On a trace",
    keys: [
      [["Ctrl Enter", "⌘ Enter"], "Ask"],
      [["←", "→", "Home", "End"], "Along the words of the answer"],
      [["Enter"], "Why this word? On a feature: what can be done with it"],
      [["↑", "↓", "Home", "End"], "Along the features"],
      [["Esc"], "Stop the answer, or the search that mends it"],
    ],
  },
  {
    title: "On a picture in focus",
    keys: [
      [["←", "→", "↑", "↓"], "Move over its cells"],
      [["Home", "End"], "First, last cell of the row"],
      [["Enter"], "Hold the cell"],
      [["Esc"], "Let it go"],
    ],
  },
  {
    title: "While a region is painted",
    keys: [
      [["b", "x", "l"], "Brush, box, lasso"],
      [["e"], "Paint or erase"],
      [["[", "]"], "Smaller, larger brush"],
      [["Ctrl Z", "⌘ Z"], "Undo (with Shift: redo)"],
      [["←", "→", "↑", "↓"], "On the picture: move over its cells (with Shift: a box)"],
      [["Space", "Delete"], "Paint, erase the cell or the box"],
    ],
  },
  {
    title: "On the tokens of a prompt",
    keys: [
      [["←", "→", "Home", "End"], "Along the tokens (with Shift: choose up to there)"],
      [["Space"], "Choose the token"],
      [["Ctrl A", "⌘ A"], "All words"],
      [["Esc"], "None"],
    ],
  },
];

export function KeyboardHelp() {
  const open = useOverlay() === "keys";
  return (
    <Dialog open={open} onOpenChange={(next) => setOverlay(next ? "keys" : null)}>
      <DialogContent title="Keyboard">
        <div className="mt-4 grid gap-6 sm:grid-cols-2">
          {groups.map((group) => (
            <section key={group.title}>
              <h3 className="mb-2 text-muted text-sm">{group.title}</h3>
              <dl className="grid grid-cols-[auto_1fr] items-baseline gap-x-4 gap-y-2 text-sm">
                {group.keys.map(([keys, what]) => (
                  <div key={what} className="contents">
                    <dt className="flex gap-1">
                      {keys.map((key) => (
                        <kbd key={key} className="rounded bg-sunken px-1.5 py-0.5 font-mono text-xs ring-1 ring-line">
                          {key}
                        </kbd>
                      ))}
                    </dt>
                    <dd>{what}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
      </DialogContent>
    </Dialog>
  );
}
