import type { Metadata } from "next";
import { ListPage } from "@/site/views/list";

export const metadata: Metadata = { title: "Features", description: "A dictionary's features, searched and filtered." };

export default ListPage;
