import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium, type Browser } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];
const USUAL_PLACES = [
  "/usr/bin",
  "/usr/local/bin",
  "/snap/bin",
  "/opt/google/chrome",
  "/Applications/Google Chrome.app/Contents/MacOS",
];

/** No sandbox, for containers; and nothing that a browser does by itself over the network. */
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Chromium or Chrome: CHROMIUM_PATH, what is installed, or on Debian as root what apt-get installs.
 *
 * @returns undefined if there is none
 */
export async function launchBrowser(): Promise<Browser | undefined> {
  const executablePath = findBrowser() ?? installBrowser();
  return executablePath === undefined ? undefined : chromium.launch({ executablePath, args: ARGUMENTS });
}

function findBrowser(): string | undefined {
  const chosen = process.env["CHROMIUM_PATH"];
  if (chosen) return chosen;
  const folders = [...(process.env["PATH"] ?? "").split(delimiter).filter(Boolean), ...USUAL_PLACES];
  const candidates = folders.flatMap((folder) => [...NAMES, "Google Chrome"].map((name) => join(folder, name)));
  return candidates.find(isExecutable);
}

const APT = "/usr/bin/apt-get";

function installBrowser(): string | undefined {
  if (process.getuid?.() !== 0 || !existsSync(APT)) return undefined;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args: string[]) => execFileSync(APT, args, { env, stdio: "ignore" });
  try {
    apt("update", "-q");
    apt("install", "-y", "-q", "--no-install-recommends", "chromium");
  } catch {
    return undefined;
  }
  return findBrowser();
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
