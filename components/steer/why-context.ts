"use client";
import { createContext } from "react";
import type { Arm } from "@/lib/core/protocol";

/** The address that explains a token of an arm's answer; null where there is none. Pages whose answers can be traced give it. */
export type WhyHref = (arm: Arm, place: number) => string | null;

export const WhyContext = createContext<WhyHref>(() => null);
