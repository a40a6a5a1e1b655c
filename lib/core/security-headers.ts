/** The security headers of every answer, and the Content-Security-Policy of pages. */

/** What is the same for every request. */
export const fixedHeaders: { key: string; value: string }[] = [
  { key: "X-Content-Type-Options", value: "nosniff" },
  { key: "Referrer-Policy", value: "same-origin" },
  { key: "Cross-Origin-Opener-Policy", value: "same-origin" },
  { key: "Cross-Origin-Resource-Policy", value: "same-origin" },
  // With the opener policy above: a tab may share memory between threads, which the engine in the tab computes with.
  { key: "Cross-Origin-Embedder-Policy", value: "require-corp" },
  {
    key: "Permissions-Policy",
    // The sandbox takes pictures with the camera, when a person asks for it; a page that embeds ours gets none.
    value: "camera=(self), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
  },
];

/** The policy of what is no page: opened on its own, it may load and run nothing. */
export const dataPolicy = "default-src 'none'; frame-ancestors 'none'; sandbox";

/** The policy of the engine's files in a tab: the threads of its runtime begin with one of them, and compile WebAssembly. No page has this policy. */
export const enginePolicy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'; frame-ancestors 'none'";

/** Pages that may stand in a frame of any site. They show and link, and nothing on them acts, so that no click on them can be stolen. */
export const isEmbed = (pathname: string): boolean => pathname.startsWith("/embed/");

/** Of requests, and overwritten whatever a client sends: tells the layout that the page stands alone. */
export const embedHeader = "x-facet-embed";

/** What a page or picture carries that other sites may show. */
export const sharedHeaders: { key: string; value: string }[] = [{ key: "Cross-Origin-Resource-Policy", value: "cross-origin" }];

/**
 * The policy of one page view. Scripts run only when they carry the nonce or were loaded by one that does; nothing is fetched from another
 * origin. Style attributes are allowed, because positions and sizes of lists and charts are set that way; style elements need the nonce.
 * @param nonce fresh for each request, base64
 * @param development React's development build evaluates strings to show server stacks, and its tools inject styles
 * @param embed for a page that other sites may frame; every other page stands in no frame but our own
 */
export function contentSecurityPolicy(nonce: string, { development = false, embed = false } = {}): string {
  const directives: Record<string, string> = {
    "default-src": "'none'",
    "script-src": `'self' 'nonce-${nonce}' 'strict-dynamic'${development ? " 'unsafe-eval'" : ""}`,
    "style-src": development ? "'self' 'unsafe-inline'" : `'self' 'nonce-${nonce}'`,
    "style-src-attr": "'unsafe-inline'",
    "img-src": "'self' blob: data:",
    "font-src": "'self'",
    "connect-src": `'self'${development ? " ws:" : ""}`,
    "worker-src": "'self' blob:",
    "manifest-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": embed ? "*" : "'self'",
  };
  return Object.entries(directives)
    .map(([name, value]) => `${name} ${value}`)
    .join("; ");
}

const loopback = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Why a request is refused, or null. Guards a server on this machine against other sites open in the same browser: a name that such a site
 * points at this machine shows in `Host`, and a request that it sends shows in `Sec-Fetch-Site`.
 * @param allowedHosts comma-separated names under which the server may be reached besides the loopback ones; `*` for any
 */
export function refusal(
  request: { method: string; host: string | null; fetchSite: string | null },
  allowedHosts: string,
): { message: string; fix: string } | null {
  const host = (request.host ?? "").replace(/:\d+$/, "").toLowerCase();
  const allowed = allowedHosts
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter(Boolean);
  if (!loopback.has(host) && !allowed.includes("*") && !allowed.includes(host)) {
    return {
      message: `This server does not answer under the name "${host}".`,
      fix: "Open it as http://localhost, or name the hosts it may answer under in FACET_ALLOWED_HOSTS.",
    };
  }
  const reads = ["GET", "HEAD", "OPTIONS"].includes(request.method);
  if (!reads && request.fetchSite === "cross-site") {
    return {
      message: "Another site may not send requests to this server.",
      fix: "Send the request from Facet's own pages or from a program.",
    };
  }
  return null;
}
