#!/bin/sh
# Run once, where PostgreSQL begins: a role and a database for each owner, which can't see the other's.
set -eu
make() {
    psql --set ON_ERROR_STOP=1 --username postgres --set "owner=$1" --set "password=$2" <<'SQL'
CREATE ROLE :"owner" LOGIN PASSWORD :'password';
CREATE DATABASE :"owner" OWNER :"owner" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';
REVOKE CONNECT ON DATABASE :"owner" FROM PUBLIC;
SQL
}
make auth "$AUTH_PASSWORD"
make store "$STORE_PASSWORD"
