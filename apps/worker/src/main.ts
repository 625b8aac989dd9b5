import { readWorkerSettings } from "@postrider/shared/runtime/settings/worker.ts";
import { runProcess } from "@postrider/shared/runtime/process/run.ts";
import { startWorker } from "./service.ts";

await runProcess(() => startWorker(readWorkerSettings(process.env)));
