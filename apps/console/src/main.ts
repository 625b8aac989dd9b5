import { runProcess } from "@postrider/shared/runtime/process/run.ts";
import { readConsoleSettings } from "@postrider/shared/runtime/settings/console.ts";
import { startConsole } from "./service.ts";

await runProcess(() => startConsole(readConsoleSettings(process.env)));
