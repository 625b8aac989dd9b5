import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { needProgram } from "../../../../scripts/services/install.ts";
import { waitFor } from "../wait.ts";

const CERTIFICATES = resolve(import.meta.dirname, "../receiver/tls");

/** A port with TLS, and where its requests go. */
export interface NginxServer {
  port: number;
  /** `http://host:port` */
  upstream: string;
  /** More directives of its location. */
  directives?: readonly string[];
}

export interface NginxOptions {
  address: string;
  servers: readonly NginxServer[];
  /** Words before the command, such as those of a network namespace. */
  prefix?: readonly string[];
}

export interface Nginx {
  stop(): Promise<void>;
}

/** An nginx that ends TLS with the certificate of localhost. It ends with this process. */
export async function startNginx({ address, servers, prefix = [] }: NginxOptions): Promise<Nginx> {
  const program = await needProgram("nginx");
  const folder = mkdtempSync(join(tmpdir(), "postrider-nginx-"));
  const config = join(folder, "nginx.conf");
  writeFileSync(config, configuration(folder, address, servers));
  const [command, ...args] = [...prefix, program, "-e", "stderr", "-p", folder, "-c", config];
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  const lines: string[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => void lines.push(text));
  const killWithUs = () => child.kill("SIGKILL");
  process.once("exit", killWithUs);
  const stop = async () => {
    process.off("exit", killWithUs);
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (const { port } of servers) await waitFor(`nginx listens on ${port}`, () => accepts(address, port));
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${lines.join("")}`, { cause: error });
  }
  return { stop };
}

/** One process without a master, so that it ends with a signal to the child. */
const configuration = (folder: string, address: string, servers: readonly NginxServer[]): string => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
events {}
http {
  access_log off;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join("\n  ")}
  ssl_certificate ${CERTIFICATES}/trusted.cert.pem;
  ssl_certificate_key ${CERTIFICATES}/trusted.key.pem;
  proxy_http_version 1.1;
  ${servers
    .map(
      ({ port, upstream, directives = [] }) => `server {
    listen ${address}:${port} ssl;
    location / {
      proxy_pass ${upstream};
      ${directives.map((directive) => `${directive};`).join("\n      ")}
    }
  }`,
    )
    .join("\n  ")}
}
`;

async function accepts(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    await once(socket, "connect");
    return true;
  } finally {
    socket.destroy();
  }
}
