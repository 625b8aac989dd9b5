// Preloaded by a process under test (clock.ts): its Date is off by the milliseconds in the file CLOCK_SHIFT_FILE, which
// may change while the process runs. Timers and performance.now() go on, as when a machine's clock is set.
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const POLL_MS = 10;
const file = process.env["CLOCK_SHIFT_FILE"]!;
const realNow = Date.now;
let shiftMs = 0;

const readShift = (): void => {
  // The test removes it when it ends.
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  // The file is empty for a moment while it is written.
  if (text === "" || Number(text) === shiftMs) return;
  shiftMs = Number(text);
  writeFileSync(`${file}.taken`, text);
};
readShift();
setInterval(readShift, POLL_MS).unref();

const shiftedNow = () => realNow() + shiftMs;
globalThis.Date = new Proxy(Date, {
  apply: () => new Date(shiftedNow()).toString(),
  construct: (target, args: unknown[], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [shiftedNow()] : args, newTarget) as Date,
});
Date.now = shiftedNow;
