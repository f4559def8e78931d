#!/bin/sh
# Starts nginx for clickledger in the foreground. Renames the last log, writes the configuration, and then replaces itself with nginx. On a host
# that is drained (clickledger drain) it does not start nginx, but waits until the host is not drained any more.
#
#   LOG_DIR          directory of access.log (required; nothing but nginx and the log agent may write to it)
#   BACKENDS         host:port of every backend, separated by commas (required)
#   LISTEN           address to listen on             (127.0.0.1:8080)
#   TLS_CERTIFICATE  with TLS_KEY: paths of PEM files; LISTEN then accepts TLS only (none)
#   TLS_DIR          in place of these two: a directory with HOST/fullchain.pem and HOST/privkey.pem for the host of BASE_URL and each https URL
#                    in BASE_URLS (none)
#   HTTP_LISTEN      with TLS: address of a second port that redirects plain HTTP to the base URL of the same host, or else to BASE_URL (none)
#   BASE_URL         needed for HTTP_LISTEN and TLS_DIR only: https://…, as in the settings
#   BASE_URLS        the same: further base URLs, separated by commas, as in the settings (none)
#   WELL_KNOWN_DIR   a directory with HOST/apple-app-site-association and HOST/assetlinks.json; nginx serves them at /.well-known/ (none)
#   RATE_LIMIT       clicks per second and client; visits and goals have a separate limit of the same size (30)
#   RATE_BURST       clicks above the limit that are accepted at once (200)
#   FALLBACK_URL     where clicks are sent if no backend answers: http://… or https://… (none: they get an error)
#   HEALTH_LISTEN    address at which /healthz is served to load balancers, in plain HTTP (none: it is served at LISTEN)
#   HEALTH_MIN_FREE_MIB  /healthz answers 503 if the log disk has less free space than this many MiB (64)
#   UNSUBSCRIBE_PAGE path of your own page for unsubscribing (nginx/unsubscribe/page.html, which shows what it must contain)
#   TRUSTED_PROXIES  addresses and networks whose X-Forwarded-For is used, separated by commas (none)
#   ROTATE_MIB       rotate the log when it has this many MiB                    (0: not by size)
#   ROTATE_SECONDS   rotate the log when its first line is this many seconds old (0: not by age)
#   NGINX_RUN_DIR    directory for the configuration, the pid file, the error log and temporary files (/run/clickledger-nginx)
#   ERROR_LOG        a path, or `stderr` (error.log in NGINX_RUN_DIR)
#   NGINX_USER       user of the nginx workers, if root starts this script (www-data)
#   NGINX_WORKERS    number of nginx workers (auto)
#   NGINX_BIN        the nginx program       (nginx)
#
# LOG_DIR may have two more files. `clickledger drain` writes `draining`. While this file exists, /healthz answers 503. The file contains the time
# in epoch seconds at which nginx stops. This script writes `drained` after it has stopped nginx at that time.
#
# The configuration contains no absolute paths, only names in NGINX_RUN_DIR, so that a path may have any characters. NGINX_RUN_DIR/links has
# symbolic links to the files and directories that are elsewhere. Quotes would not be enough, because in access_log and ssl_certificate a $
# begins a variable even in quotes.
set -eu

fail() { echo "nginx/start.sh: $1" >&2; exit 1; }
[ -n "${LOG_DIR:-}" ] || fail 'LOG_DIR is not set: where should access.log go?'
[ -n "${BACKENDS:-}" ] || fail 'BACKENDS is not set: host:port of every backend, separated by commas'

# awk and nginx treat names with non-ASCII characters as bytes.
export LC_ALL=C
absolute() { case $1 in /*) printf '%s\n' "$1" ;; *) printf '%s\n' "$PWD/$1" ;; esac; }
LOG_DIR=$(absolute "$LOG_DIR")
NGINX_RUN_DIR=$(absolute "${NGINX_RUN_DIR:-/run/clickledger-nginx}")
NGINX_USER=${NGINX_USER:-www-data}
is_root() { [ "$(id -u)" = 0 ]; }
# The workers must be able to read the run directory. It contains nothing secret.
umask 022
mkdir -p "$NGINX_RUN_DIR/links"
# Logs contain addresses and slugs. Only nginx and the group of the log directory (the group of the agent) may read them.
umask 027
if [ ! -d "$LOG_DIR" ]; then
  mkdir -p "$LOG_DIR"
  ! is_root || chown "$NGINX_USER" "$LOG_DIR"
fi
# The workers of nginx open the log again when it is rotated. If their user is neither the owner nor in the group of the directory, they
# still need the right to enter the directory (x).
others='o=x'
[ "$(stat -c %U "$LOG_DIR")" != "$NGINX_USER" ] || others='o='
case " $(id -nG "$NGINX_USER" 2>/dev/null) " in *" $(stat -c %G "$LOG_DIR") "*) others='o=' ;; esac
# If the user of this script may not change the mode of the directory, the mode stays as it is. The log files themselves are always closed
# to other users.
chmod "$others" "$LOG_DIR" 2>/dev/null || true
link() { ln -sfn "$(absolute "$1")" "$NGINX_RUN_DIR/links/$2"; }
link "$LOG_DIR" logs

export LISTEN="${LISTEN:-127.0.0.1:8080}" HTTP_LISTEN="${HTTP_LISTEN:-}"
BASE_URL=${BASE_URL:-} BASE_URLS=${BASE_URLS:-} WELL_KNOWN_DIR=${WELL_KNOWN_DIR:-}
TLS_CERTIFICATE=${TLS_CERTIFICATE:-} TLS_KEY=${TLS_KEY:-} TLS_DIR=${TLS_DIR:-}
export RATE_LIMIT="${RATE_LIMIT:-30}" RATE_BURST="${RATE_BURST:-200}"
export NGINX_WORKERS="${NGINX_WORKERS:-auto}"
case ${ERROR_LOG:-} in
  stderr) ;;
  '' | "$NGINX_RUN_DIR/error.log") ERROR_LOG=error.log ;;
  *) link "$ERROR_LOG" error.log && ERROR_LOG=links/error.log ;;
esac
export ERROR_LOG
# Prints the host of a URL, in lower case, without a port.
host_of() { printf '%s\n' "$1" | tr 'A-Z' 'a-z' | sed -E 's#^[a-z]+://##; s#[/?].*##; s#^.*@##; s#:[0-9]*$##; s#\.$##'; }
# A host is part of the configuration and of paths in it.
assert_host() {
  case $1 in '' | *[!0-9a-z._-]*) fail "$2: '$1' is not a host name in ASCII. Write an international name in the form xn--…" ;; esac
}
CERTIFICATE= TLS_DIRECTIVES= HSTS=
if [ -n "$TLS_CERTIFICATE$TLS_KEY" ]; then
  [ -z "$TLS_DIR" ] || fail 'TLS_DIR is in place of TLS_CERTIFICATE and TLS_KEY: set TLS_DIR, or the other two'
  [ -r "$TLS_CERTIFICATE" ] && [ -r "$TLS_KEY" ] || fail 'TLS_CERTIFICATE and TLS_KEY must both be files that can be read'
  link "$TLS_CERTIFICATE" certificate.pem
  link "$TLS_KEY" key.pem
  CERTIFICATE='ssl_certificate links/certificate.pem; ssl_certificate_key links/key.pem;'
fi
# Sets CERTIFICATE to the directives for a host of TLS_DIR.
use_certificate_of() {
  assert_host "$1" TLS_DIR
  [ -r "$TLS_DIR/$1/fullchain.pem" ] && [ -r "$TLS_DIR/$1/privkey.pem" ] ||
    fail "TLS_DIR has no certificate of $1: fullchain.pem and privkey.pem in $TLS_DIR/$1 must be files that can be read"
  CERTIFICATE="ssl_certificate links/tls/$1/fullchain.pem; ssl_certificate_key links/tls/$1/privkey.pem;"
}
if [ -n "$TLS_DIR" ]; then
  case "$BASE_URL" in https://*) ;; *) fail 'TLS_DIR needs BASE_URL, which must be https://…: its certificate is for clients that name no host' ;; esac
  link "$TLS_DIR" tls
  use_certificate_of "$(host_of "$BASE_URL")"
fi
if [ -n "$CERTIFICATE" ]; then
  LISTEN="$LISTEN ssl"
  # The header has no includeSubDomains, because other hosts of the domain may not have TLS.
  HSTS='add_header Strict-Transport-Security max-age=63072000 always;'
  # Mozilla's intermediate profile (guidelines version 5.7), without the ciphers that need Diffie-Hellman parameters. HTTP/2 is off, because
  # a click is only one request, and nginx 1.22 and 1.25 have different directives for HTTP/2.
  TLS_DIRECTIVES="ssl_protocols TLSv1.2 TLSv1.3;
  ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
  ssl_prefer_server_ciphers off;
  ssl_session_cache shared:clickledger_tls:10m;
  ssl_session_timeout 1d;
  ssl_session_tickets off;
  $HSTS"
fi
if [ -n "$HTTP_LISTEN" ]; then
  [ -n "$CERTIFICATE" ] || fail 'HTTP_LISTEN sends people on to TLS: it needs TLS_CERTIFICATE and TLS_KEY, or TLS_DIR'
  case "$BASE_URL" in https://*) ;; *) fail 'HTTP_LISTEN sends people on to BASE_URL, which must be https://…' ;; esac
fi
# The base URLs that get servers of their own: one https URL for each host, and not that of BASE_URL.
further_urls=
if [ -n "$TLS_DIR$HTTP_LISTEN" ]; then
  hosts=" $(host_of "$BASE_URL") "
  # A URL may contain characters that a shell would expand to names of files.
  set -f
  for url in $(printf '%s' "$BASE_URLS" | tr ',' ' '); do
    case $url in
      http://*) continue ;;
      https://*[!0-9A-Za-z:/._~%-]*) fail "BASE_URLS: $url has characters that a base URL cannot have. Write international names in the form xn--…" ;;
      https://*) ;;
      *) fail "BASE_URLS: $url must be an http:// or https:// URL" ;;
    esac
    host=$(host_of "$url")
    assert_host "$host" BASE_URLS
    case $hosts in *" $host "*) continue ;; esac
    hosts="$hosts$host "
    further_urls="$further_urls $url"
  done
  set +f
fi
export CERTIFICATE HSTS TLS_DIRECTIVES
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

NGINX_USER_DIRECTIVE=
! is_root || NGINX_USER_DIRECTIVE="user $NGINX_USER;"

# nginx does not use a backend for a second after the backend failed. If all backends had failed, nginx would answer 502 without trying any.
# So each backend is listed a second time as a backup that nginx always tries.
BACKEND_SERVERS=$(echo "$BACKENDS" | tr ',' '\n' | sed 's/.*/server & max_fails=1 fail_timeout=1s; server & backup max_fails=0;/')

REAL_IP_DIRECTIVES=
if [ -n "${TRUSTED_PROXIES:-}" ]; then
  REAL_IP_DIRECTIVES="$(echo "$TRUSTED_PROXIES" | tr ',' '\n' | sed 's/.*/set_real_ip_from &;/')
real_ip_header X-Forwarded-For;
real_ip_recursive on;"
fi
export NGINX_USER_DIRECTIVE BACKEND_SERVERS REAL_IP_DIRECTIVES

# In the quotes of a configuration, only these three characters have a meaning. A URL can have all of them percent-encoded.
case ${FALLBACK_URL:-} in
  '') ;;
  *[!!-~]* | *[\"\\\$]*) fail "FALLBACK_URL has characters that a URL cannot have here. Percent-encode them, e.g. \$ as %24" ;;
  http://[!/?#]* | https://[!/?#]*) ;;
  *) fail 'FALLBACK_URL must be an http:// or https:// URL' ;;
esac
case ${HEALTH_LISTEN:-} in
  '') ;;
  "${LISTEN%% *}" | "${HTTP_LISTEN%% *}") fail 'HEALTH_LISTEN must be another address than LISTEN and HTTP_LISTEN. Without it, /healthz is served at LISTEN' ;;
esac
min_free_mib=${HEALTH_MIN_FREE_MIB:-64}
case $min_free_mib in *[!0-9]*) fail 'HEALTH_MIN_FREE_MIB must be a whole number' ;; esac

# Replaces each ${NAME} with the variable of that name, or with nothing. A line ${NAME_FILE} is replaced by the content of a file, because a
# variable of the environment cannot be longer than 128 KiB.
fill() {
  awk '/^ *\$\{[A-Z_]+_FILE\}$/ {
    name = substr($1, 3, length($1) - 3)
    while ((getline line < ENVIRON[name]) > 0) print line
    next
  }
  {
    rest = $0; line = ""
    while (match(rest, /\$\{[A-Z_]+\}/)) {
      name = substr(rest, RSTART + 2, RLENGTH - 3)
      line = line substr(rest, 1, RSTART - 1) ENVIRON[name]
      rest = substr(rest, RSTART + RLENGTH)
    }
    print line rest
  }' "$1"
}

# Locations that a server has only with some variables.
FALLBACK_DIRECTIVES= FALLBACK_LOCATION= HEALTH=
if [ -n "${FALLBACK_URL:-}" ]; then
  export FALLBACK_URL
  # Backends send neither 502 nor 504. A proxy before them does so if no backend answers.
  FALLBACK_DIRECTIVES='proxy_intercept_errors on; error_page 502 504 = @clickledger_fallback;'
  FALLBACK_LOCATION=$(fill "$here/fallback.conf.template")
fi
health_locations=$(fill "$here/health.conf.template")
[ -n "${HEALTH_LISTEN:-}" ] || HEALTH=$health_locations
export FALLBACK_DIRECTIVES FALLBACK_LOCATION HEALTH

# The pages for unsubscribing: one that asks, and one that confirms, in each language. The form posts to the address of
# the page. tracking.conf.template counts the request only if it has the value of the button.
umask 022
# The pages are in `html`, the default root of nginx. A `root` or `alias` directive would not work, because nginx takes a $ in the path for a
# variable.
pages=$NGINX_RUN_DIR/html/clickledger-pages
mkdir -p "$pages"
page=${UNSUBSCRIBE_PAGE:-$here/unsubscribe/page.html}
[ -r "$page" ] || fail "UNSUBSCRIBE_PAGE: $page cannot be read"
languages=
while IFS="$(printf '\t')" read -r LANGUAGE DIRECTION title text button done_title done_text; do
  export LANGUAGE DIRECTION
  form="<form method=\"post\"><button name=\"unsubscribe\" value=\"yes\">$button</button></form>"
  TITLE=$title TEXT=$text FORM=$form fill "$page" >"$pages/ask.$LANGUAGE.html"
  TITLE=$done_title TEXT=$done_text FORM='' fill "$page" >"$pages/done.$LANGUAGE.html"
  languages=$languages${languages:+|}$LANGUAGE
done <"$here/unsubscribe/languages.tsv"
cp "$here/t.js" "$NGINX_RUN_DIR/html/t.js"
rm -f "$NGINX_RUN_DIR/html/clickledger-well-known"
if [ -n "$WELL_KNOWN_DIR" ]; then
  [ -d "$WELL_KNOWN_DIR" ] || fail "WELL_KNOWN_DIR: $WELL_KNOWN_DIR is not a directory"
  ln -s "$(absolute "$WELL_KNOWN_DIR")" "$NGINX_RUN_DIR/html/clickledger-well-known"
fi
umask 027
export LANGUAGES="$languages"

# Prints the servers. The first server of an address answers all host names that no other server has. Options of `listen` may be given only once
# for an address.
servers() {
  export SERVER_NAME=_ REDIRECT_URL="${BASE_URL%/}"
  fill "$here/server.conf.template"
  [ -z "$HTTP_LISTEN" ] || fill "$here/to-https.conf.template"
  LISTEN="${LISTEN%% *} ssl" HTTP_LISTEN="${HTTP_LISTEN%% *}"
  for url in $further_urls; do
    SERVER_NAME=$(host_of "$url") REDIRECT_URL=${url%/}
    if [ -n "$TLS_DIR" ]; then
      use_certificate_of "$SERVER_NAME"
      fill "$here/server.conf.template"
    fi
    [ -z "$HTTP_LISTEN" ] || fill "$here/to-https.conf.template"
  done
}
TRACKING_FILE=$NGINX_RUN_DIR/tracking.conf
export TRACKING_FILE
fill "$here/tracking.conf.template" >"$TRACKING_FILE"
servers >>"$TRACKING_FILE"
if [ -n "${HEALTH_LISTEN:-}" ]; then
  export HEALTH_LISTEN
  HEALTH=$health_locations fill "$here/health-server.conf.template" >>"$TRACKING_FILE"
fi
fill "$here/nginx.conf.template" >"$NGINX_RUN_DIR/nginx.conf"

log=$LOG_DIR/access.log

# Renames the log to a name that no other file has, because renaming it to the name of another log would destroy that log.
put_aside() {
  aside=$log.$(date -u +%Y%m%dT%H%M%SZ) n=0
  while [ -e "$aside.$n" ]; do n=$((n + 1)); done
  mv "$log" "$aside.$n"
}

# Sets the owner of a file, if $1 is not empty, and its group to the group of the log directory. Other users cannot open the file.
close_to_others() {
  ! is_root || chown -h "$1:$(stat -c %g "$LOG_DIR")" "$2" 2>/dev/null || true
  chmod o= "$2" 2>/dev/null || true
}

# Creates the log before nginx opens it. The master process of nginx would create the log with its own group, which may differ from the
# group of the agent.
create_log() {
  # Not `:`, because a failed redirection of this special built-in ends the shell.
  true >>"$log"
  close_to_others "$NGINX_USER" "$log"
}

# Rotates the log if there is no logrotate: renames the log, then sends USR1, so that nginx opens a new file.
rotate_if_due() {
  bytes=$(stat -c %s "$log" 2>/dev/null) || return 0
  # The age of a log is counted from its first line. An empty log is not rotated.
  [ "$bytes" -gt 0 ] || since=$now
  if [ "$((rotate_bytes > 0 && bytes >= rotate_bytes || rotate_seconds > 0 && now - since >= rotate_seconds))" = 1 ]; then
    if put_aside; then
      # If the new log cannot be created, e.g. on a full disk, nginx still gets the signal and tries to create the log itself.
      create_log || true
      kill -USR1 "$1"
    fi
    since=$now
  fi
}

# Whether `clickledger drain` has said that nginx must not run any more.
is_drained() {
  stop_at=
  read -r stop_at 2>/dev/null <"$LOG_DIR/draining" || true
  case $stop_at in '' | *[!0-9]* | ???????????*) return 1 ;; esac
  [ "$(date +%s)" -ge "$stop_at" ]
}
# The same while nginx does not run. When it has stopped, a clock that goes back must not start it again.
stays_drained() { is_drained || { [ -e "$LOG_DIR/draining" ] && [ -e "$LOG_DIR/drained" ]; }; }

# Prints the state that /healthz shows.
health_state() {
  # `set --` makes the two numbers parameters: free blocks, and bytes of a block.
  set -- $(stat -f -c '%a %S' "$LOG_DIR" 2>/dev/null)
  if [ -e "$LOG_DIR/draining" ]; then echo draining
  elif [ $# != 2 ] || [ "$(($1 * $2 / 1048576))" -lt "$min_free_mib" ]; then echo log-disk-full
  else echo ok; fi
}

# Writes the state for these ten seconds and the next ones (health.conf.template), and deletes the files of other times. If a file cannot be
# written, deletes all, so that /healthz answers 503.
write_health() {
  state=$(health_state) tens=$(($(date +%s) / 10)) kind=unfit
  [ "$state" != ok ] || kind=ok
  for period in "$tens" "$((tens + 1))"; do
    if ! (umask 022 && printf '{"status":"%s"}\n' "$state" >"$health/new" && mv "$health/new" "$health/$kind.$period") 2>/dev/null; then
      rm -f "$health"/*
      return
    fi
  done
  for file in "$health"/*; do
    case $file in */"$kind.$tens" | */"$kind.$((tens + 1))") ;; *) rm -f "$file" ;; esac
  done
}

# Waits for a second, or until a signal comes.
nap() {
  trap 'true' TERM QUIT INT
  sleep 1 || true
  trap '' TERM QUIT INT
}

# Runs beside nginx, and ends when nginx ends.
keep_house() {
  # A signal to the whole process group must not end this loop before nginx, because it writes that nginx has stopped.
  trap '' TERM QUIT INT
  since=$(date +%s)
  while kill -0 "$1" 2>/dev/null && nap && kill -0 "$1" 2>/dev/null; do
    now=$(date +%s)
    write_health
    [ "$((rotate_bytes + rotate_seconds))" = 0 ] || rotate_if_due "$1"
    if is_drained; then
      # nginx answers the requests in progress, then exits.
      kill -QUIT "$1" 2>/dev/null || true
      while kill -0 "$1" 2>/dev/null; do sleep 0.1; done
      true >"$LOG_DIR/drained" || true
    fi
  done
}

if stays_drained; then
  echo 'nginx/start.sh: this host is drained, so nginx does not run. `clickledger drain --undo` starts it.' >&2
  trap 'exit 0' TERM QUIT INT
  true >"$LOG_DIR/drained" || true
  while stays_drained; do sleep 1; done
  trap - TERM QUIT INT
fi
rm -f "$LOG_DIR/drained"

# A log with content is renamed, and nginx opens a new log. A power loss may have cut off the last line of the old log, and nginx would
# append the next line to the cut line.
[ ! -s "$log" ] || put_aside

[ ! -L "$log" ] || fail "$log is a link. Remove it: nginx writes the log to LOG_DIR itself."
create_log
# Logs of an earlier version of this script can be read by all users.
for old in "$log".*; do
  if [ -f "$old" ] && [ ! -L "$old" ]; then close_to_others '' "$old"; fi
done
[ -z "$(find "$LOG_DIR" -maxdepth 1 -type f -name 'access.log*' -perm /o=rwx)" ] ||
  echo "nginx/start.sh: other users may read logs in $LOG_DIR: run chmod o= on them" >&2

rotate_bytes=$((${ROTATE_MIB:-0} * 1024 * 1024)) rotate_seconds=${ROTATE_SECONDS:-0}
health=$NGINX_RUN_DIR/html/clickledger-health
(umask 022 && mkdir -p "$health")
write_health
# nginx replaces this shell, so the process id of this shell will be that of the nginx master.
keep_house $$ &

exec "${NGINX_BIN:-nginx}" -p "$NGINX_RUN_DIR" -e "$ERROR_LOG" -c nginx.conf -g 'daemon off;'
