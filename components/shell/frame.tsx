import { type ReactNode, Suspense } from "react";
import { CommandPalette } from "./command-palette";
import { KeyboardHelp } from "./keyboard-help";
import { TopBar } from "./top-bar";

/**
 * What is around every page. On a server no part of it waits: every page is made for its request, and a streamed bar would come after the page. `later`: in
 * a copy of files the address is known in the browser alone, so what reads it is drawn there.
 */
export function Frame({ later = false, children }: { later?: boolean; children: ReactNode }) {
  const wait = (part: ReactNode, meanwhile: ReactNode = null) => (later ? <Suspense fallback={meanwhile}>{part}</Suspense> : part);
  return (
    <>
      <a
        href="#content"
        className="fixed top-2 left-2 z-50 -translate-y-20 rounded-md bg-accent px-4 py-2 text-accent-ink focus-visible:translate-y-0"
      >
        Skip to the content
      </a>
      {wait(<TopBar />, <div className="h-14 shrink-0" />)}
      <main id="content" tabIndex={-1} className="flex grow flex-col outline-none">
        {wait(children)}
      </main>
      {wait(<CommandPalette />)}
      <KeyboardHelp />
    </>
  );
}
