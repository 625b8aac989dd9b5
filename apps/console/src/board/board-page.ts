import type { RequestHandler } from "express";

const EXTERNAL_STYLESHEET = /<link\b[^>]*href="https?:[^>]*>\s*/g;
const OUR_STYLESHEET = '<link href="/assets/board.css" rel="stylesheet">';

/**
 * Bull Board's page links a web font from another host. It is taken out (the fallbacks are the system's fonts), and a
 * stylesheet of ours is added that hides the buttons which are refused anyway.
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
