import { type NextRequest, NextResponse } from "next/server";
import { obstacleTo } from "@/app/obstacle";
import { FacetError } from "@/lib/core/errors";
import { missingHeader, missingStatus, writeMissing } from "@/lib/core/missing";
import { contentSecurityPolicy, embedHeader, isEmbed, refusal } from "@/lib/core/security-headers";

/**
 * Runs before every page: refuses requests from elsewhere, gives the page a nonce and the policy that names it, and the status of an error where
 * the page will say why it cannot be shown. A page itself can choose a status only by throwing, upon which Next.js sends an empty page and
 * leaves its words to the browser.
 */
export async function proxy(request: NextRequest): Promise<Response> {
  const refused = refusal(
    { method: request.method, host: request.headers.get("host"), fetchSite: request.headers.get("sec-fetch-site") },
    process.env.FACET_ALLOWED_HOSTS ?? "",
  );
  if (refused) {
    const error = new FacetError("forbidden", refused.message, { fix: refused.fix });
    return NextResponse.json({ error }, { status: error.status });
  }
  if (request.nextUrl.pathname.startsWith("/api/")) return NextResponse.next();
  // Pages are only read; their bodies would be buffered for nothing.
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new NextResponse("Pages are read with GET.\n", { status: 405, headers: { Allow: "GET, HEAD" } });
  }

  const nonce = btoa(crypto.randomUUID());
  const embed = isEmbed(request.nextUrl.pathname);
  const policy = contentSecurityPolicy(nonce, { development: process.env.NODE_ENV === "development", embed });
  const headers = new Headers(request.headers);
  // Next.js reads the nonce from the policy and puts it on its own scripts; the layout reads `x-nonce` for ours.
  headers.set("x-nonce", nonce);
  headers.set("Content-Security-Policy", policy);
  headers.delete(embedHeader);
  if (embed) headers.set(embedHeader, "1");
  const missing = await obstacleTo(request.nextUrl);
  headers.delete(missingHeader);
  if (missing) headers.set(missingHeader, writeMissing(missing));
  const response = NextResponse.next({ status: missing ? missingStatus(missing) : 200, request: { headers } });
  response.headers.set("Content-Security-Policy", policy);
  return response;
}

export const config = {
  matcher: [
    {
      source: "/((?!api/|_next/static|_next/image).*)",
      missing: [{ type: "header", key: "next-router-prefetch" }],
    },
    // The API passes by untouched (a proxy buffers request bodies), except where a request may come from another site.
    { source: "/api/:path*", missing: [{ type: "host", value: "(?:localhost|127\\.0\\.0\\.1)" }] },
    { source: "/api/:path*", has: [{ type: "header", key: "sec-fetch-site", value: "cross-site" }] },
  ],
};
