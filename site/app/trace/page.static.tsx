import type { Metadata } from "next";
import { TracePage } from "@/site/views/trace";

export const metadata: Metadata = {
  title: "Trace",
  description: "From a word of a multimodal model's answer back to the features that made the model say it.",
};

export default TracePage;
