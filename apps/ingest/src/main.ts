import { runProcess } from "@postrider/shared/runtime/process/run.ts";
import { readIngestSettings } from "@postrider/shared/runtime/settings/ingest.ts";
import { startIngest } from "./service.ts";

await runProcess(() => startIngest(readIngestSettings(process.env)));
