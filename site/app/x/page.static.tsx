import type { Metadata } from "next";
import { ExperimentsPage } from "@/site/views/experiments";

export const metadata: Metadata = {
  title: "Experiments",
  description: "Saved steering experiments: what was asked, which features were held, what was answered with and without them.",
};

export default ExperimentsPage;
