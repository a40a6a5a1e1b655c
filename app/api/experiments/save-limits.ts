/** How many experiments may be saved: they stay for good, so that a public server needs a bound. */
import { FacetError } from "@/lib/core/errors";
import { formatNoun } from "@/lib/core/format";
import { HourlyCount, type Taken } from "@/lib/core/hourly";

export interface SaveLimits {
  /** New experiments within an hour from one client address; 0 switches saving off. */
  perClient: number;
  /** The same from all of them together; 0 switches saving off. */
  perHour: number;
}

/** The first four groups of an IPv6 address, which one household has to itself; `::` filled in. */
function network(address: string): string {
  const [head = "", tail = ""] = address.split("::", 2);
  const groups = (part: string) => part.split(":").filter(Boolean);
  const fill = address.includes("::") ? Math.max(0, 8 - groups(head).length - groups(tail).length) : 0;
  return [...groups(head), ...Array<string>(fill).fill("0"), ...groups(tail)].slice(0, 4).join(":");
}

/**
 * Who asks: the last address of `X-Forwarded-For`, which the proxy in front of this server wrote, or Next.js itself where there is none. Without a proxy a
 * client can write the header as it likes, and the limit for all clients is the one that holds.
 */
export function clientOf(request: Request): string {
  const last = request.headers.get("x-forwarded-for")?.split(",").at(-1)?.trim().toLowerCase() ?? "";
  const address = last.replace(/^::ffff:(?=\d+\.)/, "").slice(0, 45);
  return address.includes(":") ? network(address) : address;
}

const minutes = (seconds: number) => formatNoun(Math.ceil(seconds / 60), "minute");

/** Counts what is saved in this process. */
export function saveLimiter({ perClient, perHour }: SaveLimits): { take(request: Request, now: number): Taken } {
  const byClient = new HourlyCount(perClient);
  const inAll = new HourlyCount(perHour);
  const refuse = (message: string, waitS: number) =>
    new FacetError("too_many_saved", message, {
      fix: `Save again in ${minutes(waitS)}; until then the run can be shared by the sandbox's link, and saved for a day.`,
      retryAfterS: waitS,
    });
  return {
    /** A place among those that may be saved. Throws `saving_off`, and `too_many_saved` with the seconds to wait. */
    take(request, now) {
      if (perClient === 0 || perHour === 0) throw new FacetError("saving_off", "This server keeps no experiments: saving is switched off.");
      const own = byClient.take(clientOf(request), now);
      if ("waitS" in own) {
        throw refuse(
          `${formatNoun(perClient, "experiment")} were saved from your address within an hour, which is as many as this server takes.`,
          own.waitS,
        );
      }
      const all = inAll.take("", now);
      if ("release" in all) {
        return {
          release: () => {
            own.release();
            all.release();
          },
        };
      }
      own.release();
      throw refuse(
        `${formatNoun(perHour, "experiment")} were saved here within an hour, which is as many as this server takes.`,
        all.waitS,
      );
    },
  };
}
