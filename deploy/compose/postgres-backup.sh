#!/bin/sh
# Backups where auth and store are on PostgreSQL: a folder each, with a dump of either database, the
# store's files (POSTROOM_STORE_BLOBS=fs) and the keys of sealed secrets.
#
#   postgres-backup.sh save KEPT      the store's first: an account made in between has no mail then,
#                                     and no mail is nobody's; KEPT 0: none are removed
#   postgres-backup.sh restore NAME   replaces what is there, while nothing else runs: fronts know
#                                     mailboxes by heart
set -eu
files=/data/store/blobs
cd /backups
exec 9<.
case ${1:-} in
save)
    flock --nonblock 9 || { echo "Another backup is being made." && exit 1; } >&2
    name=postroom-$(date -u +%Y%m%dT%H%M%SZ)
    rm -rf postroom-*.partial
    mkdir "$name.partial"
    for database in store auth; do
        pg_dump --format=custom --file="$name.partial/$database.dump" "$database"
    done
    # Contents are written before the rows that name them, and stay for a while after the last of these.
    [ ! -d "$files" ] || cp -a "$files" "$name.partial/blobs"
    cp -a /data/secrets "$name.partial/secrets"
    sync
    mv "$name.partial" "$name"
    echo "/backups/$name: $(du -sh "$name" | cut -f 1)"
    [ "$2" -gt 0 ] || exit 0
    for old in $(ls -d postroom-*Z | sort -r | tail -n "+$(($2 + 1))"); do
        rm -rf "$old"
        echo "/backups/$old is removed."
    done
    ;;
restore)
    [ -n "${2:-}" ] && [ -d "$2" ] || {
        echo "Which backup? There are:"
        ls -d postroom-*Z 2>/dev/null || echo none
        exit 1
    } >&2
    cp -a "$2/secrets/." /data/secrets/
    rm -rf "$files"
    [ ! -d "$2/blobs" ] || cp -a "$2/blobs" "$files"
    for database in auth store; do
        pg_restore --dbname="$database" --clean --if-exists --single-transaction --exit-on-error "$2/$database.dump"
    done
    echo "$2 is back. Start the system."
    ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
