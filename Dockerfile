# One image for every process: the command chooses which. Node runs the TypeScript as it is; there is no build step.
FROM node:24.22.3-slim

ENV NODE_ENV=production
# A container has addresses of its own: which ports are published decides who reaches them.
ENV HOST=0.0.0.0 ADMIN_HOST=0.0.0.0
WORKDIR /app

COPY package.json package-lock.json .npmrc ./
COPY packages/shared/package.json packages/shared/
COPY packages/testkit/package.json packages/testkit/
COPY apps/ingest/package.json apps/ingest/
COPY apps/worker/package.json apps/worker/
COPY apps/console/package.json apps/console/
# The image has Node already. The package with the same one is for checkouts.
RUN npm ci --omit=dev \
  && rm -rf node_modules/node-linux-* node_modules/.bin/node \
  && npm cache clean --force

COPY packages packages
COPY apps apps
COPY drizzle drizzle
COPY scripts scripts
COPY docs docs

USER node
CMD ["node", "apps/ingest/src/main.ts"]
