import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { commandOf } from "./processes.ts";
import { claimCheckout, findRunning, refuseWhileRunning } from "./running.ts";

const URLS = { api: "http://127.0.0.1:3000", console: "http://127.0.0.1:3001" };

let dataDir: string;
let other: ChildProcess;
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "postrider-running-"));
  const script = `
    import { claimCheckout } from ${JSON.stringify(join(import.meta.dirname, "running.ts"))};
    const claim = await claimCheckout(${JSON.stringify(dataDir)});
    claim.publish(${JSON.stringify(URLS)});
    process.send("claimed");
    process.on("message", () => { claim.release(); process.exit(); });
  `;
  other = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await once(other, "message");
});
afterEach(() => {
  other.kill("SIGKILL");
  rmSync(dataDir, { recursive: true });
});

test("a second Postrider of a checkout is refused and says where the first is", async () => {
  const refusal = new RegExp(
    `already \\(process ${other.pid}; API ${URLS.api}, console ${URLS.console}\\): stop it first`,
  );
  await expect(claimCheckout(dataDir)).rejects.toThrow(refusal);
  await expect(refuseWhileRunning(dataDir)).rejects.toThrow(refusal);
  expect(await findRunning(dataDir)).toMatchObject({ urls: URLS });
});

test("it may start once the first has ended, even by kill -9", async () => {
  const ended = once(other, "exit");
  other.kill("SIGKILL");
  await ended;
  const claim = await claimCheckout(dataDir);
  await expect(claimCheckout(dataDir)).rejects.toThrow(`process ${process.pid}; still starting`);
  claim.release();
  expect(await findRunning(dataDir)).toBeUndefined();
});

test("it may start once the first has stopped", async () => {
  const ended = once(other, "exit");
  other.send("stop");
  await ended;
  (await claimCheckout(dataDir)).release();
});

test.each([
  ["our own, as it is in the next container", () => process.pid],
  ["another process's", () => process.ppid],
])("a record whose pid is %s refuses nothing", async (_, pidOf) => {
  const file = join(dataDir, "running.json");
  const left = JSON.parse(readFileSync(file, "utf8")) as object;
  // In containers, the command lines are the same too.
  const command = await commandOf(pidOf());
  writeFileSync(file, JSON.stringify({ ...left, pid: pidOf(), command }));
  (await claimCheckout(dataDir)).release();
});
