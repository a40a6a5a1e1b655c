import { headers } from "next/headers";

/** Origin under which this page was asked for: link previews need whole addresses, and only the request knows the host. */
export async function requestOrigin(): Promise<URL> {
  const sent = await headers();
  const host = sent.get("x-forwarded-host") ?? sent.get("host") ?? "localhost";
  const protocol = sent.get("x-forwarded-proto")?.split(",")[0] ?? "http";
  try {
    return new URL(`${protocol}://${host}`);
  } catch {
    return new URL("http://localhost");
  }
}
