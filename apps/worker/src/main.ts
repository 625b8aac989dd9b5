import { readSettings } from "@postrider/shared/config/settings.ts";
import { runProcess } from "@postrider/shared/process/run.ts";
import { startWorker } from "./start.ts";

await runProcess(() => startWorker(readSettings(process.env)));
