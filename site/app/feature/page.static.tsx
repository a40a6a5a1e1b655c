import type { Metadata } from "next";
import { FeaturePage } from "@/site/views/feature";

export const metadata: Metadata = { title: "Feature", description: "One feature: where it fires, what explains it, how well." };

export default FeaturePage;
