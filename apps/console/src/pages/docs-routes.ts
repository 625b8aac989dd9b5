import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Router } from "express";
import { escapeHtml, page } from "./page.ts";

const DOCS = fileURLToPath(new URL("../../../../docs", import.meta.url));

/** `/docs`: the documentation of the running version, as Markdown text. */
export function docsRoutes(): Router {
  const routes = Router();
  routes.get("/", async (_request, response) => {
    const links = (await names()).map((name) => `<li><a href="/docs/${name}">${name.replace(".md", "")}</a></li>`);
    response.send(page("Docs", `<section><h2>Docs</h2>\n<ul>\n${links.join("\n")}\n</ul></section>`, { isWide: true }));
  });
  routes.get("/:name", async (request, response, next) => {
    const { name } = request.params;
    if (!(await names()).includes(name)) return next();
    response.send(page(name, withAnchors(await readFile(join(DOCS, name), "utf8")), { isWide: true }));
  });
  return routes;
}

const names = async (): Promise<string[]> =>
  (await readdir(DOCS).catch(() => [])).filter((name) => name.endsWith(".md")).sort();

function withAnchors(markdown: string): string {
  const lines = escapeHtml(markdown)
    .split("\n")
    .map((line) => {
      const heading = /^#{1,4} (.+)$/.exec(line)?.[1];
      return heading === undefined ? line : `<strong id="${anchorOf(heading)}">${line}</strong>`;
    });
  return `<pre class="doc">${lines.join("\n")}</pre>`;
}

/** A heading's anchor, the same as on GitHub. */
export const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^a-z0-9 _-]/g, "")
    .replaceAll(" ", "-");
