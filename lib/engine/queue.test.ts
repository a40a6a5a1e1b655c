import { describe, expect, it } from "vitest";
import { RequestQueue, type Ticket } from "./queue";

const never = new AbortController().signal;

/** Records a ticket's positions until its turn. */
function follow(ticket: Ticket): { seen: number[]; turn: Promise<void> } {
  const seen: number[] = [];
  const turn = (async () => {
    for await (const position of ticket.positions()) seen.push(position);
  })();
  return { seen, turn };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

describe("RequestQueue", () => {
  it("admits at once while there is room and says nothing of positions", async () => {
    const queue = new RequestQueue(2, 1);
    const first = follow(queue.enter(never));
    const second = follow(queue.enter(never));
    await Promise.all([first.turn, second.turn]);
    expect([first.seen, second.seen]).toEqual([[], []]);
  });

  it("tells each position as it changes, in order of arrival", async () => {
    const queue = new RequestQueue(1, 3);
    const tickets = [0, 1, 2, 3].map(() => queue.enter(never));
    const lines = tickets.map(follow);
    await settle();
    tickets[0]?.leave();
    await settle();
    tickets[1]?.leave();
    await settle();
    tickets[2]?.leave();
    await lines[3]?.turn;
    expect(lines.map(({ seen }) => seen)).toEqual([[], [0], [1, 0], [2, 1, 0]]);
  });

  it("refuses beyond its bound with a retryable error, and accepts again afterwards", () => {
    const queue = new RequestQueue(1, 1);
    const running = queue.enter(never);
    queue.enter(never);
    expect(() => queue.enter(never)).toThrow(expect.objectContaining({ code: "engine_busy", retry: true }));
    running.leave();
    expect(() => queue.enter(never)).not.toThrow();
  });

  it("frees the place of one that leaves while waiting", async () => {
    const queue = new RequestQueue(1, 2);
    const running = queue.enter(never);
    const leaver = new AbortController();
    const waiting = queue.enter(leaver.signal);
    const last = queue.enter(never);
    const lastLine = follow(last);
    const line = follow(waiting);
    await settle();
    leaver.abort();
    await expect(line.turn).rejects.toMatchObject({ code: "cancelled" });
    waiting.leave();
    await settle();
    expect(lastLine.seen).toEqual([1, 0]);
    running.leave();
    running.leave();
    await lastLine.turn;
    expect(queue.length).toBe(0);
  });
});
