"use client";
import { useQuery } from "@tanstack/react-query";
import { HomeView } from "@/components/home/home-view";
import { homeQueryOptions } from "@/lib/api/home";
import { Shown } from "./shown";

export function HomePage() {
  return <Shown query={useQuery(homeQueryOptions())}>{(home) => <HomeView {...home} />}</Shown>;
}
