import { readSettings } from "@postrider/shared/runtime/settings.ts";
import { runProcess } from "@postrider/shared/runtime/process/run.ts";
import { startWorker } from "./service.ts";

await runProcess(() => startWorker(readSettings(process.env)));
