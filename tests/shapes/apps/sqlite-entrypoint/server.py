import json
import sqlite3
from pathlib import Path
from wsgiref.simple_server import make_server

COMMIT = Path("/app/COMMIT").read_text()


def app(environ, start_response):
    if environ["PATH_INFO"] == "/version":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"commit": COMMIT}).encode()]
    with sqlite3.connect("/data/visits.db") as db:
        db.execute("insert into visits values (datetime())")
        (count,) = db.execute("select count(*) from visits").fetchone()
    start_response("200 OK", [("Content-Type", "text/html")])
    return [f"<p>visits: {count}</p>".encode()]


make_server("", 8000, app).serve_forever()
