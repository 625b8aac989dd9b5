import pretty from "pino-pretty";
import { READABLE } from "../../packages/shared/src/runtime/telemetry/logger.ts";

const COLOURS = [36, 33, 35, 32, 34, 31];
const QUIET: readonly unknown[] = ["warn", "error", "fatal"];

/** Prints a line of a process's output behind its name. JSON log lines are made readable. */
export type Print = (name: string, line: string) => void;

/** @param isQuiet omits log lines below the level warn */
export function createPrinter(isQuiet: boolean, out: NodeJS.WriteStream = process.stdout): Print {
  const colorize = out.isTTY && !process.env["NO_COLOR"];
  const readable = pretty.prettyFactory({ ...READABLE, colorize });
  const names: string[] = [];
  // The reader of stdout may exit (`npm start | head`); Postrider continues.
  out.on("error", () => undefined);
  return (name, line) => {
    const parsed = parse(line);
    if (isQuiet && parsed && !QUIET.includes(parsed["level"])) return;
    if (!names.includes(name)) names.push(name);
    const label = name.padEnd(9);
    const prefix = colorize
      ? `\u001B[${COLOURS[names.indexOf(name) % COLOURS.length]}m${label}│\u001B[0m`
      : `${label}│`;
    const text = parsed ? readable(parsed) : line;
    out.write(
      text
        .trimEnd()
        .split("\n")
        .map((part) => `${prefix} ${part}\n`)
        .join(""),
    );
  };
}

function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
