/** `GET /api/health`. */
import { z } from "zod";

export const healthSchema = z.strictObject({
  status: z.literal("ok"),
  /** Which database answers. */
  catalogue: z.enum(["pglite", "postgres"]),
  dictionaries: z.number().int(),
  /** Workers that FACET_WORKER_URL names, and how many of them answer. */
  workers: z.strictObject({ named: z.number().int(), answering: z.number().int() }),
});
export type Health = z.infer<typeof healthSchema>;
