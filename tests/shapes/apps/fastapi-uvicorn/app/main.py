from pathlib import Path

from fastapi import FastAPI

app = FastAPI(generate_unique_id_function=lambda route: f"{route.tags[0]}-{route.name}")


@app.get("/", tags=["pages"])
async def index():
    return {"message": "hello from FastAPI"}


@app.get("/version", tags=["freshness"])
async def version():
    return {"commit": Path("/app/COMMIT").read_text()}
