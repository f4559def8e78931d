#!/bin/sh
# Starts Postgres on one of the hosts of docker-compose.cluster.yml. The arguments are passed to Postgres. If the only argument is `create`, Postgres
# is not started, but its next start creates the databases.
#
#   HOST      the address of this host
#   HOSTS     the addresses of all hosts, separated by spaces
#
# If this server has no data, it copies the databases of the primary and becomes a standby. After another server was promoted, a standby follows that
# server. A former primary does not start while another server is the primary, because it may have changes that the new primary does not have.
set -eu

say() { echo "postgres.sh: $1" >&2; }

volume=/var/lib/postgresql
# Without this file, no server creates databases. Otherwise a server that lost its disk would begin again with empty ones.
may_create=$volume/may-create
# While this file exists, the copy of the databases is not whole.
copying=$volume/copying

if [ "${1:-}" = create ]; then
  [ ! -s "$PGDATA/PG_VERSION" ] || { say 'this server already has databases'; exit 1; }
  touch "$may_create"
  say 'the next start creates the databases'
  exit
fi

PGPASSFILE=$volume/pgpass
export PGPASSFILE PGCONNECT_TIMEOUT=3
(umask 077 && printf '*:*:*:clickledger_owner:%s\n' "$(cat /settings/password)" > "$PGPASSFILE")

# Prints the address of another host whose server is a primary.
other_primary() {
  for host in $HOSTS; do
    [ "$host" != "$HOST" ] || continue
    [ "$(psql -h "$host" -U clickledger_owner -d postgres -tAc 'SELECT pg_is_in_recovery()' 2> /dev/null)" != f ] || { echo "$host"; return; }
  done
}

if [ -e "$copying" ] || [ ! -s "$PGDATA/PG_VERSION" ]; then
  while from=$(other_primary); [ -z "$from" ] && [ ! -e "$may_create" ]; do
    say 'no other server is a primary'
    sleep 2
  done
  if [ -n "$from" ]; then
    say "copying the databases of $from"
    touch "$copying"
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    find "$PGDATA" -mindepth 1 -delete
    pg_basebackup -h "$from" -U clickledger_owner -D "$PGDATA" -X stream -c fast
    touch "$PGDATA/standby.signal"
    sync
    rm -f "$copying"
  fi
  rm -f "$may_create"
elif [ ! -f "$PGDATA/standby.signal" ]; then
  while from=$(other_primary); [ -n "$from" ]; do
    say "this server was the primary, and $from is the primary now. To make it a standby, remove its volume: see docs/operators.md"
    sleep 10
  done
fi

primary="host=$(echo "$HOSTS" | tr ' ' ',') user=clickledger_owner passfile=$PGPASSFILE target_session_attrs=primary connect_timeout=3"
exec docker-entrypoint.sh postgres -c "listen_addresses=$HOST" -c hba_file=/etc/clickledger/pg_hba.conf \
  -c "primary_conninfo=$primary application_name=$HOST" -c wal_keep_size=1GB \
  -c wal_sender_timeout=10s -c wal_receiver_timeout=10s -c tcp_user_timeout=10s "$@"
