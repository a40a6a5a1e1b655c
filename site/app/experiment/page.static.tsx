import type { Metadata } from "next";
import { ExperimentPage } from "@/site/views/experiments";

export const metadata: Metadata = { title: "Experiment", description: "A saved steering experiment." };

export default ExperimentPage;
