import { type Env, ManagedProcess } from "@postrider/testkit/processes/managed-process.ts";

/** Registers a process with withProcesses(), which stops it. */
export type Adopt = (started: ManagedProcess) => ManagedProcess;

/** Starts a file of bench/processes/. */
export const startProcess = (name: string, file: string, options: { task?: unknown; env?: Env } = {}): ManagedProcess =>
  new ManagedProcess({
    name,
    script: new URL(`../processes/${file}`, import.meta.url),
    task: options.task,
    env: { NODE_ENV: "production", ...options.env },
  });
