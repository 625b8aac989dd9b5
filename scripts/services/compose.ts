import { createHash, randomBytes } from "node:crypto";
import { hasDocker } from "./container.ts";
import { recall, remember, type ServiceName } from "./memory.ts";
import { freePort, isFree } from "./ports.ts";
import { run, type Ran } from "./processes.ts";
import type { Report } from "./report.ts";
import type { Up } from "./local.ts";

const PORTS = { postgres: 5432, redis: 6379 } as const;
type ComposeService = keyof typeof PORTS;

/** Whether the docker command has a running engine and supports Compose. */
export async function hasCompose(): Promise<boolean> {
  const [engine, compose] = await Promise.all([
    hasDocker(),
    run("docker", ["compose", "version"], { timeoutMs: 4_000 }),
  ]);
  return engine && compose.code === 0;
}

/** Starts Postgres or Redis from docker-compose.yml, in a project separate from a whole Postrider of the same file. */
export async function ensureComposeService(
  root: string,
  dataDir: string,
  service: ComposeService,
  report: Report,
): Promise<Up> {
  const name: ServiceName = `compose-${service}`;
  const memory = recall(dataDir, name) ?? { password: randomBytes(16).toString("hex") };
  const running = (await compose(root, {}, "ps", "-q", "--status", "running", service)).stdout !== "";
  if (!running && !(memory.port !== undefined && (await isFree(memory.port)))) memory.port = await freePort();
  remember(dataDir, name, memory);
  if (!running) report(`starting ${service} with Docker Compose`);
  const env = {
    [`${service.toUpperCase()}_PORT`]: String(memory.port),
    ...(service === "postgres" && { POSTGRES_PASSWORD: memory.password }),
  };
  const up = await compose(root, env, "up", "-d", "--wait", "--no-recreate", service);
  if (up.code !== 0) throw new Error(`docker compose up ${service} failed: ${up.stderr.split("\n").at(-1)}`);
  const published = (await compose(root, env, "port", service, String(PORTS[service]))).stdout;
  const port = Number(published.split(":").at(-1)) || memory.port;
  const url =
    service === "postgres"
      ? `postgres://postrider:${memory.password}@127.0.0.1:${port}/postrider`
      : `redis://127.0.0.1:${port}`;
  const stop = async () => void (await compose(root, env, "stop", service));
  return running ? { url } : { url, started: { stop } };
}

/** @param andData removes the volumes too */
export async function composeDown(root: string, andData: boolean): Promise<void> {
  const { code, stderr } = await compose(root, {}, "down", ...(andData ? ["-v"] : []));
  if (code !== 0) throw new Error(`docker compose down failed: ${stderr.split("\n").at(-1)}`);
}

function compose(root: string, env: Record<string, string>, ...args: string[]): Promise<Ran> {
  // Each checkout has its own project.
  const project = `postrider-dev-${createHash("sha256").update(root).digest("hex").slice(0, 8)}`;
  // Compose validates the whole file, including the required secrets of services that are not started here.
  const placeholders = { POSTGRES_PASSWORD: "-", ENCRYPTION_KEY: "-", API_KEYS: "-", CONSOLE_PASSWORD: "-" };
  return run("docker", ["compose", "-p", project, ...args], {
    cwd: root,
    env: { ...process.env, ...placeholders, ...env },
  });
}
