"use client";
import { useParams } from "next/navigation";
import { EmptyState } from "@/components/ui/empty-state";
import { LinkButton } from "@/components/ui/link-button";
import { routes } from "@/lib/core/routes";

/** The address names no feature: says which part of it, and leads to what is there. */
export function FeatureNotFound() {
  const { model = "", dictionary = "", index = "" } = useParams<{ model: string; dictionary: string; index: string }>();
  const ref = `${model}/${dictionary}`;
  return (
    <>
      <h1 className="sr-only">No such feature</h1>
      <EmptyState
        title={`There is no feature ${index.slice(0, 12)} in ${dictionary} of ${model}.`}
        className="grow justify-center"
        action={
          <div className="flex flex-wrap justify-center gap-2">
            <LinkButton href={routes.dictionary(ref)}>See its features</LinkButton>
            <LinkButton href={routes.home()} variant="ghost">
              All dictionaries
            </LinkButton>
          </div>
        }
      >
        A feature's address ends with its index, from 0 to the number of latents minus one; or the dictionary is not imported here.
      </EmptyState>
    </>
  );
}
