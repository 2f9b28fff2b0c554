from flask import Flask, jsonify, render_template

app = Flask(__name__)


@app.get("/")
def index():
    return render_template("index.html")


@app.get("/healthz")
def health():
    return "ok"


@app.get("/version")
def version():
    with open("/app/COMMIT") as file:
        return jsonify(commit=file.read().strip())
