import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { waitFor } from "@postrider/testkit/wait.ts";

/** Stands in for Docker: it notes its arguments; a container and the volume that its image declares are files. */
const DOCKER = `#!/bin/sh
cd "$(dirname "$0")"
echo "$* password=$POSTGRES_PASSWORD" >> calls
case $1 in
  info) echo 28.0.0;;
  run) touch c0ffee volume; echo "Unable to find image locally" >&2; echo c0ffee;;
  port) [ -e no-port ] && exit 1; echo 127.0.0.1:49153;;
  rm) rm -f "$3"; [ "$2" = -fv ] && rm -f volume;;
esac
`;

let folder: string;
const started: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postrider-docker-"));
  writeFileSync(join(folder, "docker"), DOCKER);
  chmodSync(join(folder, "docker"), 0o755);
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

const isRunning = (): boolean => existsSync(join(folder, "c0ffee"));
const hasVolume = (): boolean => existsSync(join(folder, "volume"));

function startIn(script: string) {
  const imports = `import { hasDocker, startContainer } from ${JSON.stringify(join(import.meta.dirname, "container.ts"))};`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", `${imports}\n${script}`], {
    env: { ...process.env, PATH: `${folder}${delimiter}${process.env["PATH"]}` },
    stdio: ["ignore", "pipe", "inherit"],
  });
  started.push(child);
  return child;
}

const START = `
  if (!(await hasDocker())) throw new Error("no Docker");
  const container = await startContainer({
    image: "postgres:17", port: 5432, env: { POSTGRES_PASSWORD: "secret" }, args: ["postgres", "-c", "fsync=off"],
  });
`;

test("a container is published on a port of loopback, its secrets are not arguments, and stopping removes it", async () => {
  const child = startIn(`${START} process.stdout.write(String(container.port)); await container.stop();`);
  const [port] = (await once(child.stdout, "data")) as [Buffer];
  expect(String(port)).toBe("49153");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect({ isRunning: isRunning(), hasVolume: hasVolume() }).toEqual({ isRunning: false, hasVolume: false });
  expect(readFileSync(join(folder, "calls"), "utf8")).toContain(
    "run -d --rm -p 127.0.0.1::5432 -e POSTGRES_PASSWORD postgres:17 postgres -c fsync=off password=secret\n",
  );
});

test("a container is removed although its owner is killed", async () => {
  const child = startIn(`${START} console.log("started"); setInterval(() => undefined, 1_000);`);
  await once(child.stdout, "data");
  expect(isRunning()).toBe(true);
  child.kill("SIGKILL");
  await waitFor("the container is removed, with its volume", () => !isRunning() && !hasVolume());
});

test("a container that publishes no port is removed", async () => {
  writeFileSync(join(folder, "no-port"), "");
  const child = startIn(
    `await startContainer({ image: "redis:7", port: 6379 }).catch((error) => console.log(error.message));`,
  );
  const [message] = (await once(child.stdout, "data")) as [Buffer];
  expect(String(message)).toMatch(/^docker port failed/);
  await once(child, "exit");
  expect(isRunning()).toBe(false);
});
