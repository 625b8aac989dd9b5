import pretty from "pino-pretty";
import { READABLE } from "../../packages/shared/src/runtime/telemetry/logger.ts";

const COLOURS = [36, 33, 35, 32, 34, 31];
const QUIET: readonly unknown[] = ["warn", "error", "fatal"];

/**
 * Prints a line of output of a process: JSON log lines made readable, anything else as it is, both behind the process's
 * name.
 */
export type Print = (name: string, line: string) => void;

/** @param quiet leaves out log lines below a warning */
export function createPrinter(quiet: boolean, out: NodeJS.WriteStream = process.stdout): Print {
  const colorize = out.isTTY && !process.env["NO_COLOR"];
  const readable = pretty.prettyFactory({ ...READABLE, colorize });
  const names: string[] = [];
  // Whoever read our output is gone (`npm start | head`); that is no reason to end.
  out.on("error", () => undefined);
  return (name, line) => {
    const parsed = parse(line);
    if (quiet && parsed && !QUIET.includes(parsed["level"])) return;
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
