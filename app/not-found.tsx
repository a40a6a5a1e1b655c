import NotFound from "@/components/shell/not-found";

export const metadata = { title: "Not found" };

export default NotFound;
