"""
Brings the database to the schema of this release: `python -m watch_party.migrate`, run once with the new release's
image before its containers start, while those of the release before still serve.

So a migration may only add: a table, an index, a column that has a default. What the old code reads and writes must go
on working; what nobody needs any more is taken away by a later release. Going back needs no step at all: the old code
finds a schema newer than its own and takes no notice.
"""

import logging
import sqlite3
from pathlib import Path

from .store import connect, database_path

MIGRATIONS = Path(__file__).parent / "migrations"

log = logging.getLogger(__name__)


def migrations() -> list[tuple[int, str]]:
    """Number and text of each, in order; numbers begin with 1 and leave none out."""
    files = sorted(MIGRATIONS.glob("*.sql"))
    found = [(int(file.name.split("_")[0]), file.read_text()) for file in files]
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"{MIGRATIONS} has to hold 0001_…, 0002_…, …; found {[file.name for file in files]}")
    return found


def newest() -> int:
    return migrations()[-1][0]


def schema_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection) -> list[int]:
    """Applies what is missing, all of it or nothing, and returns the numbers."""
    # The lock is taken before the version is read: of two that migrate at once, the second finds nothing to do.
    db.execute("BEGIN IMMEDIATE")
    try:
        missing = [(number, text) for number, text in migrations() if number > schema_of(db)]
        for number, text in missing:
            for statement in statements(text):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    return [number for number, _ in missing]


def statements(text: str) -> list[str]:
    """executescript() would commit before it begins, so the statements are run one by one."""
    found, rest = [], ""
    for line in text.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    if rest.strip():
        raise ValueError(f"a statement without its end: {rest.strip()}")
    return found


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    path = database_path()
    db = connect(path)
    applied = migrate(db)
    done = f"applied {', '.join(map(str, applied))}" if applied else "nothing to apply"
    log.info("%s: schema %d, %s", path, schema_of(db), done)
    db.close()


if __name__ == "__main__":
    main()
