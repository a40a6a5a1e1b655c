import type { Metadata, Viewport } from "next";
import { headers } from "next/headers";
import type { ReactNode } from "react";
import { CommandPalette } from "@/components/shell/command-palette";
import { KeyboardHelp } from "@/components/shell/keyboard-help";
import { Providers } from "@/components/shell/providers";
import { TopBar } from "@/components/shell/top-bar";
import { embedHeader } from "@/lib/core/security-headers";
import "./globals.css";

export const metadata: Metadata = {
  title: { default: "Facet", template: "%s · Facet" },
  description: "An explorer for the features that sparse autoencoders find inside large multimodal models.",
};

export const viewport: Viewport = {
  themeColor: [
    { media: "(prefers-color-scheme: light)", color: "#fbfbfa" },
    { media: "(prefers-color-scheme: dark)", color: "#131416" },
  ],
};

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
        <Providers nonce={nonce}>
          {bare ? (
            <main className="flex grow flex-col">{children}</main>
          ) : (
            <>
              <a
                href="#content"
                className="fixed top-2 left-2 z-50 -translate-y-20 rounded-md bg-accent px-4 py-2 text-accent-ink focus-visible:translate-y-0"
              >
                Skip to the content
              </a>
              {/* No boundary around it: every page is made for its request (the nonce), and a streamed bar would come after the page. */}
              <TopBar />
              <main id="content" tabIndex={-1} className="flex grow flex-col outline-none">
                {children}
              </main>
              <CommandPalette />
              <KeyboardHelp />
            </>
          )}
        </Providers>
      </body>
    </html>
  );
}
