import "@/instrumentation-client";
