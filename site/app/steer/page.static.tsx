import type { Metadata } from "next";
import { SteerPage } from "@/site/views/steer";

export const metadata: Metadata = {
  title: "Steer",
  description: "Hold features of a multimodal model at a strength of your choice and read how its answer changes.",
};

export default SteerPage;
