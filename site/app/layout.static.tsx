import type { Metadata } from "next";
import type { ReactNode } from "react";
import { Frame } from "@/components/shell/frame";
import { Providers } from "@/components/shell/providers";
import { windowColours } from "@/components/shell/viewport";
import { fileAddress } from "@/lib/core/routes";
import "@/app/globals.css";

export const metadata: Metadata = {
  title: { default: "Facet", template: "%s · Facet" },
  description: "An explorer for the features that sparse autoencoders find inside large multimodal models.",
  icons: { icon: { url: fileAddress("icon.svg"), type: "image/svg+xml" } },
};

export const viewport = windowColours;

export default function SiteLayout({ children }: { children: ReactNode }) {
  return (
    // public/theme.js sets data-theme before React sees the element.
    <html lang="en" suppressHydrationWarning>
      <head>
        <script src={fileAddress("theme.js")} />
      </head>
      <body className="flex min-h-dvh flex-col">
        <Providers>
          <Frame later>{children}</Frame>
        </Providers>
      </body>
    </html>
  );
}
