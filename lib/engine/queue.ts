/**
 * A bounded waiting line in front of an engine. Kept queues (p-queue and the like) know neither a bound nor a visible position, which are
 * the two things needed here.
 */
import { FacetError } from "@/lib/core/errors";

export class RequestQueue {
  private running = 0;
  private readonly waiting: Ticket[] = [];

  /** `concurrency` requests run at once and at most `bound` wait. */
  constructor(
    private readonly concurrency: number,
    private readonly bound: number,
  ) {}

  get length(): number {
    return this.waiting.length;
  }

  /** A place in the line; whoever gets one must `leave()` it in the end. Throws `engine_busy` when the line is full. */
  enter(signal: AbortSignal): Ticket {
    if (this.running >= this.concurrency && this.waiting.length >= this.bound) {
      throw new FacetError("engine_busy", `The engine is busy and ${this.bound} requests are already waiting for it.`);
    }
    const ticket = new Ticket(this, signal);
    if (this.running < this.concurrency) {
      this.running++;
      ticket.admit();
    } else {
      this.waiting.push(ticket);
    }
    return ticket;
  }

  /** Requests ahead of a waiting one: 0 = next. */
  positionOf(ticket: Ticket): number {
    return this.waiting.indexOf(ticket);
  }

  /** For `Ticket.leave`. */
  release(ticket: Ticket): void {
    const index = this.waiting.indexOf(ticket);
    if (index >= 0) {
      this.waiting.splice(index, 1);
    } else {
      this.running--;
      const next = this.waiting.shift();
      if (next) {
        this.running++;
        next.admit();
      }
    }
    for (const other of this.waiting) other.notify();
  }
}

export class Ticket {
  private admitted = false;
  private left = false;
  private wake: () => void = () => {};

  constructor(
    private readonly queue: RequestQueue,
    private readonly signal: AbortSignal,
  ) {}

  admit(): void {
    this.admitted = true;
    this.notify();
  }

  notify(): void {
    this.wake();
  }

  /** The position whenever it changes, until it is this request's turn. Throws `cancelled` when the signal aborts first. */
  async *positions(): AsyncGenerator<number, void, void> {
    const wake = () => this.wake();
    this.signal.addEventListener("abort", wake);
    try {
      let last = -1;
      while (!this.admitted) {
        if (this.signal.aborted) throw new FacetError("cancelled", "The request was cancelled while it waited.");
        const position = this.queue.positionOf(this);
        if (position !== last) {
          last = position;
          yield position;
          continue;
        }
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    } finally {
      this.signal.removeEventListener("abort", wake);
    }
  }

  /** Gives the place or the turn to the next. Harmless the second time. */
  leave(): void {
    if (this.left) return;
    this.left = true;
    this.queue.release(this);
  }
}
