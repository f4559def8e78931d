#!/bin/sh
# Starts nginx for clickledger, in the foreground: puts the last log aside, writes the configuration, becomes nginx.
#
#   LOG_DIR          where access.log goes (required; it belongs to nginx and the log agent alone)
#   BACKENDS         host:port of every backend, separated by commas (required)
#   LISTEN           address to listen on             (127.0.0.1:8080)
#   RATE_LIMIT       clicks per second and client     (30)
#   RATE_BURST       how many may come at once        (200)
#   TRUSTED_PROXIES  addresses and networks whose X-Forwarded-For is believed, separated by commas (none)
#   NGINX_RUN_DIR    configuration, pid, error log, temporary files (/run/clickledger-nginx)
#   NGINX_USER       whom the workers run as when this is started by root (www-data)
#   NGINX_WORKERS    (auto)
#   NGINX_BIN        (nginx)
set -eu

fail() { echo "nginx/start.sh: $1" >&2; exit 1; }
[ -n "${LOG_DIR:-}" ] || fail 'LOG_DIR is not set: where should access.log go?'
[ -n "${BACKENDS:-}" ] || fail 'BACKENDS is not set: host:port of every backend, separated by commas'

export LOG_DIR
export LISTEN="${LISTEN:-127.0.0.1:8080}"
export RATE_LIMIT="${RATE_LIMIT:-30}" RATE_BURST="${RATE_BURST:-200}"
export NGINX_RUN_DIR="${NGINX_RUN_DIR:-/run/clickledger-nginx}" NGINX_WORKERS="${NGINX_WORKERS:-auto}"
here=$(cd "$(dirname "$0")" && pwd)

NGINX_USER_DIRECTIVE=
[ "$(id -u)" != 0 ] || NGINX_USER_DIRECTIVE="user ${NGINX_USER:-www-data};"

# A backend that failed is left alone for a second. Were all of them being left alone, nginx would answer 502 without trying any:
# so each stands there once more, as a backup that is never given up.
BACKEND_SERVERS=$(echo "$BACKENDS" | tr ',' '\n' | sed 's/.*/server & max_fails=1 fail_timeout=1s; server & backup max_fails=0;/')

REAL_IP_DIRECTIVES=
if [ -n "${TRUSTED_PROXIES:-}" ]; then
  REAL_IP_DIRECTIVES="$(echo "$TRUSTED_PROXIES" | tr ',' '\n' | sed 's/.*/set_real_ip_from &;/')
real_ip_header X-Forwarded-For;
real_ip_recursive on;"
fi
export NGINX_USER_DIRECTIVE BACKEND_SERVERS REAL_IP_DIRECTIVES

# Replaces ${NAME} by the variable of that name, where there is one.
fill() {
  awk '{
    rest = $0; line = ""
    while (match(rest, /\$\{[A-Z_]+\}/)) {
      name = substr(rest, RSTART + 2, RLENGTH - 3)
      line = line substr(rest, 1, RSTART - 1) ENVIRON[name]
      rest = substr(rest, RSTART + RLENGTH)
    }
    print line rest
  }' "$1"
}

mkdir -p "$NGINX_RUN_DIR" "$LOG_DIR"
fill "$here/nginx.conf.template" >"$NGINX_RUN_DIR/nginx.conf"
fill "$here/tracking.conf.template" >"$NGINX_RUN_DIR/tracking.conf"

# A log that a power loss cut short is never appended to: the next line would be glued to the torn one.
if [ -s "$LOG_DIR/access.log" ]; then
  mv "$LOG_DIR/access.log" "$LOG_DIR/access.log.$(date -u +%Y%m%dT%H%M%SZ).$$"
fi

exec "${NGINX_BIN:-nginx}" -e "$NGINX_RUN_DIR/error.log" -c "$NGINX_RUN_DIR/nginx.conf" -g 'daemon off;'
