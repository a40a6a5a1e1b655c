/** `GET /api/health`. */
import { z } from "zod";

export const healthSchema = z.strictObject({
  status: z.literal("ok"),
  /** Which database answers. */
  catalogue: z.enum(["pglite", "postgres"]),
  dictionaries: z.number().int(),
});
export type Health = z.infer<typeof healthSchema>;
