import type { Metadata } from "next";
import { ImagePage } from "@/site/views/image";

export const metadata: Metadata = { title: "Picture", description: "One picture and the features that fire on it, cell by cell." };

export default ImagePage;
