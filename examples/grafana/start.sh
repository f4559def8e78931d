#!/bin/sh
# Starts Grafana with the data sources and dashboards of this directory. Settings are environment variables:
#
#   GRAFANA_PASSWORD   the password of the user admin; Grafana uses it only at its first start
#   ANALYST_URL        the connection string of the analyst, or
#   SETTINGS           a file of settings that has it, e.g. .clickledger/env   (/settings/env)
#   PROMETHEUS_URL     the URL of Prometheus                                   (http://127.0.0.1:9090)
#
# The arguments are the command of Grafana. Without arguments, it is that of the container image.
set -eu

fail() {
  echo "start.sh: $1" >&2
  exit 1
}

# Decodes %40 and similar parts of a URL.
decode() {
  printf '%s\n' "$1" | LC_ALL=C awk '{
    digits = "0123456789abcdef"
    text = ""
    while (match($0, /%[0-9A-Fa-f][0-9A-Fa-f]/)) {
      code = tolower(substr($0, RSTART + 1, 2))
      text = text substr($0, 1, RSTART - 1) sprintf("%c", (index(digits, substr(code, 1, 1)) - 1) * 16 + index(digits, substr(code, 2, 1)) - 1)
      $0 = substr($0, RSTART + 3)
    }
    print text $0
  }'
}

# Prints a part of ANALYST_URL. `$1` is the number of the part.
part() {
  printf '%s\n' "$ANALYST_URL" | sed -En "s#^postgres(ql)?://([^:@/]+):([^@/]*)@([^/?]+)/([^?]+)(\\?(.*))?\$#\\$1#p"
}

SETTINGS=${SETTINGS:-/settings/env}
if [ -z "${ANALYST_URL:-}" ] && [ -r "$SETTINGS" ]; then
  ANALYST_URL=$(sed -n 's/^ANALYST_URL="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$SETTINGS")
fi
[ -n "${GRAFANA_PASSWORD:-}" ] || fail "GRAFANA_PASSWORD is not set: choose a password for the user admin of Grafana"
[ -n "${ANALYST_URL:-}" ] || fail "ANALYST_URL is not set, and $SETTINGS does not have it: set one of the two"
[ -n "$(part 2)" ] || fail "ANALYST_URL is not a URL of the form postgres://user:password@host:port/database"

ANALYST_USER=$(decode "$(part 2)")
ANALYST_PASSWORD=$(decode "$(part 3)")
ANALYST_ADDRESS=$(part 4)
case $ANALYST_ADDRESS in
  *]) ANALYST_ADDRESS=$ANALYST_ADDRESS:5432 ;;
  *]:*) ;;
  *:*) ;;
  *) ANALYST_ADDRESS=$ANALYST_ADDRESS:5432 ;;
esac
ANALYST_DATABASE=$(decode "$(part 5)")
ANALYST_SSLMODE=$(part 7 | sed -En 's/^(.*&)?sslmode=([a-z-]+).*$/\2/p')
ANALYST_SSLMODE=${ANALYST_SSLMODE:-disable}
unset ANALYST_URL
export ANALYST_USER ANALYST_PASSWORD ANALYST_ADDRESS ANALYST_DATABASE ANALYST_SSLMODE

here=$(cd "$(dirname "$0")" && pwd)
export GF_SECURITY_ADMIN_PASSWORD="$GRAFANA_PASSWORD"
export GF_PATHS_PROVISIONING="$here/provisioning"
export GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH="$here/operators.json"
export GRAFANA_DASHBOARDS="$here"
export PROMETHEUS_URL="${PROMETHEUS_URL:-http://127.0.0.1:9090}"
# Grafana sends no data about its use to its makers, and asks nobody for updates or plugins.
export GF_ANALYTICS_REPORTING_ENABLED=false GF_ANALYTICS_CHECK_FOR_UPDATES=false GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES=false GF_PLUGINS_PREINSTALL_DISABLED=true

if [ $# -eq 0 ]; then set -- /run.sh; fi
exec "$@"
