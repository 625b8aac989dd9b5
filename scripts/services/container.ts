import { run } from "./processes.ts";
import { runAfterParent } from "./stop-with-parent.ts";

export interface ThrowawayContainer {
  /** On 127.0.0.1. */
  port: number;
  stop(): Promise<void>;
}

interface ContainerSpec {
  image: string;
  /** Inside of the container. */
  port: number;
  env?: Record<string, string>;
  /** For the image's program. */
  args?: readonly string[];
}

/** Whether the docker command has a running engine. */
export async function hasDocker(): Promise<boolean> {
  const { code, stdout } = await run("docker", ["info", "--format", "{{.ServerVersion}}"], { timeoutMs: 4_000 });
  // Without an engine some versions print an empty version and exit with 0.
  return code === 0 && stdout !== "";
}

/** Starts a container that is removed when it is stopped or this process ends, even by kill -9. */
export async function startContainer({ image, port, env = {}, args = [] }: ContainerSpec): Promise<ThrowawayContainer> {
  const variables = Object.keys(env).flatMap((name) => ["-e", name]);
  const started = await docker(
    ["run", "-d", "--rm", "-p", `127.0.0.1::${port}`, ...variables, image, ...args],
    // Their values are not in the command line, which every account can read.
    env,
  );
  const id = started.split("\n").at(-1)!;
  const cancel = runAfterParent('docker rm -fv "$1"', [id]);
  const stop = async () => {
    // With the volume that the image declares: --rm removes it only where the container ends by itself.
    await docker(["rm", "-fv", id]);
    cancel();
  };
  try {
    const published = await docker(["port", id, String(port)]);
    return { port: Number(published.split("\n")[0]!.split(":").at(-1)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function docker(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await run("docker", args, { env: { ...process.env, ...env } });
  if (code !== 0) throw new Error(`docker ${args[0]} failed: ${stderr.split("\n").at(-1)}`);
  return stdout;
}
