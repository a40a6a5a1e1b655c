import type { Metadata } from "next";
import { StoriesPage } from "@/site/views/stories";

export const metadata: Metadata = {
  title: "Stories",
  description: "Answers of a multimodal model, each traced to a feature and changed by it, from the question to the new answer.",
};

export default StoriesPage;
