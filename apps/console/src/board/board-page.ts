import type { RequestHandler } from "express";

const EXTERNAL_STYLESHEET = /<link\b[^>]*href="https?:[^>]*>\s*/g;
const OUR_STYLESHEET = '<link href="/assets/board.css" rel="stylesheet">';

/**
 * Edits Bull Board's page: removes the link to a web font on another host (the system's fonts are its fallback), and
 * adds a stylesheet that hides the buttons of refused actions.
 */
export const boardPage: RequestHandler = (_request, response, next) => {
  const render = response.render.bind(response);
  response.render = (view: string, parameters?: object) => {
    render(view, parameters ?? {}, (error: Error | null, html: string) => {
      if (error) return next(error);
      response.send(html.replaceAll(EXTERNAL_STYLESHEET, "").replace("</head>", `${OUR_STYLESHEET}</head>`));
    });
  };
  next();
};
