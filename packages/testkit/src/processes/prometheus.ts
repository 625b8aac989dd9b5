import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { freePort } from "./ports.ts";
import { waitFor } from "../wait.ts";

const APT = "/usr/bin/apt-get";
const DPKG = "/usr/bin/dpkg-deb";
/** Not in the temporary folder, where another user's programs could be in its place. */
const OWN = resolve(import.meta.dirname, "../../../../node_modules/.cache/postrider-prometheus");

/** A program that is neither installed nor could be downloaded. */
export class MissingProgram extends Error {}

/**
 * The path of `prometheus` or `promtool`: from PATH, or on Debian from its package, which is unpacked and not
 * installed, so that no server of it is started.
 */
export function prometheusTool(name: "prometheus" | "promtool"): string {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter).filter(Boolean), join(OWN, "usr/bin")];
  const find = () => folders.map((folder) => join(folder, name)).find(existsSync);
  const found = find();
  if (found !== undefined) return found;
  let failure = "";
  if (existsSync(APT)) {
    try {
      unpack();
    } catch (error) {
      failure = ` and could not be downloaded (${(error as Error).message.split("\n")[0]})`;
    }
  }
  const unpacked = find();
  if (unpacked !== undefined) return unpacked;
  throw new MissingProgram(`${name} was not found${failure}: put it on the PATH (https://prometheus.io/download/)`);
}

function unpack(): void {
  mkdirSync(OWN, { recursive: true });
  // Into a folder of its own and moved into place: two test files may do so at the same time.
  const download = mkdtempSync(join(OWN, "download-"));
  const run = (...args: string[]) => execFileSync(APT, args, { cwd: download, stdio: "ignore" });
  try {
    try {
      run("download", "-q", "prometheus");
    } catch {
      // A fresh machine has no lists of packages.
      run("update", "-q");
      run("download", "-q", "prometheus");
    }
    const archive = readdirSync(download).find((file) => file.endsWith(".deb"));
    if (archive !== undefined) execFileSync(DPKG, ["-x", join(download, archive), OWN]);
  } finally {
    rmSync(download, { recursive: true, force: true });
  }
}

/** What a query answered: each sample's labels and value. */
export interface Sample {
  metric: Record<string, string>;
  value: [at: number, value: string];
}

interface Rule {
  name: string;
  query: string;
  type: "alerting" | "recording";
  state?: "inactive" | "pending" | "firing";
  health: string;
  lastError?: string;
}

/** A Prometheus that scrapes every second. */
export interface Prometheus {
  query(expression: string): Promise<Sample[]>;
  rules(): Promise<Rule[]>;
  /** How many targets are up. */
  targetsUp(): Promise<number>;
  stop(): Promise<void>;
}

/**
 * @param targets the admin URLs to scrape, by job
 * @param rules the text of a rule file
 */
export async function startPrometheus(targets: Record<string, readonly string[]>, rules: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "postrider-prometheus-data-"));
  const port = await freePort();
  const jobs = Object.entries(targets).map(([job_name, urls]) => ({
    job_name,
    static_configs: [{ targets: urls.map((url) => new URL(url).host) }],
  }));
  // JSON is YAML.
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: ["rules.yml"],
    scrape_configs: jobs,
  };
  writeFileSync(join(folder, "rules.yml"), rules);
  writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
  const lines: string[] = [];
  const child = spawn(
    prometheusTool("prometheus"),
    [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  child.stderr.setEncoding("utf8").on("data", (text: string) => void lines.push(text));
  const killWithUs = () => child.kill("SIGKILL");
  process.once("exit", killWithUs);
  const ask = async <T>(path: string): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, { signal: AbortSignal.timeout(10_000) });
    const answer = (await response.json()) as { status: string; error?: string; data: T };
    if (answer.status !== "success") throw new Error(`${path}: ${answer.error}`);
    return answer.data;
  };
  const stop = async () => {
    process.off("exit", killWithUs);
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitFor("Prometheus answers", async () => (await ask<unknown>("status/buildinfo")) !== undefined, {
      within: 60_000,
    });
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${lines.join("")}`, { cause: error });
  }
  return {
    query: async (expression) =>
      (await ask<{ result: Sample[] }>(`query?query=${encodeURIComponent(expression)}`)).result,
    rules: async () => (await ask<{ groups: { rules: Rule[] }[] }>("rules")).groups.flatMap((group) => group.rules),
    targetsUp: async () =>
      (await ask<{ activeTargets: { health: string }[] }>("targets?state=active")).activeTargets.filter(
        ({ health }) => health === "up",
      ).length,
    stop,
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
