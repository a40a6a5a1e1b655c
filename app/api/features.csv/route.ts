import { histogramsQuerySchema } from "@/lib/api/histograms";
import { parseInput } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { FacetError } from "@/lib/core/errors";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { featureCsv } from "@/lib/export/feature-csv";
import { answer, getOnly } from "../_lib/handler";

export const dynamic = "force-dynamic";

/** The whole list as a file, streamed: the list's own keys but for those of its pages. */
export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    const { searchParams } = new URL(request.url);
    for (const key of ["limit", "cursor"]) {
      if (searchParams.has(key))
        throw new FacetError("unknown_query_key", `"${key}" is of the list's pages; the file holds the whole list.`);
    }
    const query = parseFeatureQuery(searchParams);
    parseInput(histogramsQuerySchema, { dictionary: query.dictionary });
    const { name, lines } = await featureCsv(await getDatabase(), query, query.version);
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { value, done } = await lines.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
      // A reader that leaves ends the queries too.
      cancel: async () => void (await lines.return(undefined)),
    });
    return new Response(body, {
      headers: {
        "Content-Type": "text/csv; charset=utf-8; header=present",
        "Content-Disposition": `attachment; filename="${name}"`,
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
      },
    });
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
