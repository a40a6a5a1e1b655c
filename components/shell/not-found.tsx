import { EmptyState } from "@/components/ui/empty-state";
import { LinkButton } from "@/components/ui/link-button";
import { routes } from "@/lib/core/routes";

/** Where no page is. */
export default function NotFound() {
  return (
    <EmptyState title="There is no page at this address." page action={<LinkButton href={routes.home()}>See the dictionaries</LinkButton>}>
      The address may be mistyped, or from another version of Facet.
    </EmptyState>
  );
}
