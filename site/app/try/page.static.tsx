import type { Metadata } from "next";
import { OwnImagePage } from "@/site/views/own-image";

export const metadata: Metadata = {
  title: "Your picture",
  description: "Every feature that fires on a picture of your own, found in your browser: the picture stays on your machine.",
};

export default OwnImagePage;
