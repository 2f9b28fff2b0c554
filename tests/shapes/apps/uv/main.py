from pathlib import Path

from bottle import default_app, get
from waitress import serve


@get("/")
def index():
    return "<p>hello from Bottle</p>"


@get("/version")
def version():
    return {"commit": Path("/app/COMMIT").read_text()}


serve(default_app(), port=8080)
