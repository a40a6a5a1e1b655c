import type { Metadata } from "next";
import { headers } from "next/headers";
import type { ReactNode } from "react";
import { Frame } from "@/components/shell/frame";
import { Providers } from "@/components/shell/providers";
import { windowColours } from "@/components/shell/viewport";
import { embedHeader } from "@/lib/core/security-headers";
import "./globals.css";

export const metadata: Metadata = {
  title: { default: "Facet", template: "%s · Facet" },
  description: "An explorer for the features that sparse autoencoders find inside large multimodal models.",
};

export const viewport = windowColours;

export default async function RootLayout({ children }: { children: ReactNode }) {
  const sent = await headers();
  const nonce = sent.get("x-nonce") ?? undefined;
  const bare = sent.get(embedHeader) !== null;
  return (
    // public/theme.js sets data-theme before React sees the element.
    <html lang="en" suppressHydrationWarning>
      <head>
        <script src="/theme.js" nonce={nonce} suppressHydrationWarning />
      </head>
      <body className="flex min-h-dvh flex-col">
        <Providers nonce={nonce}>{bare ? <main className="flex grow flex-col">{children}</main> : <Frame>{children}</Frame>}</Providers>
      </body>
    </html>
  );
}
