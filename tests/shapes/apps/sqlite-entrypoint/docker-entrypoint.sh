#!/bin/sh
set -e
python3 -c 'import sqlite3; sqlite3.connect("/data/visits.db").execute("create table if not exists visits (at text)")'
exec "$@"
