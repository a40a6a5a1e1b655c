import { FeatureNotFound } from "@/components/feature/feature-not-found";

export const metadata = { title: "No such feature" };

export default function NotFound() {
  return <FeatureNotFound />;
}
