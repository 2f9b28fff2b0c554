from pathlib import Path

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def index():
    return {"message": "hello from FastAPI"}


@app.get("/version")
async def version():
    return {"commit": Path("/app/COMMIT").read_text()}
