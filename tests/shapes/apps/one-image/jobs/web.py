import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = Path("/app/COMMIT").read_text()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        is_version = self.path == "/version"
        body = (json.dumps({"commit": COMMIT}) if is_version else "<p>jobs</p>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if is_version else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8000), Handler).serve_forever()
