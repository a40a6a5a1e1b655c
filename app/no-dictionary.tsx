import type { ReactNode } from "react";
import { EmptyState } from "@/components/ui/empty-state";
import { LinkButton } from "@/components/ui/link-button";
import { routes } from "@/lib/core/routes";

/** A page that needs a dictionary, over an empty catalogue. `children`: what cannot be done. */
export function NoDictionary({ icon, children }: { icon: ReactNode; children: string }) {
  return (
    <EmptyState page icon={icon} title={children} action={<LinkButton href={routes.home()}>Home</LinkButton>}>
      The catalogue is empty. Import a bundle with <code className="font-mono">npm run facet -- import</code> and a folder, or start with{" "}
      <code className="font-mono">npm start</code>, which imports the embedded one.
    </EmptyState>
  );
}
