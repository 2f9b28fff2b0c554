from pathlib import Path

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path

urlpatterns = [
    path("", lambda request: render(request, "index.html")),
    path("healthz", lambda request: HttpResponse("ok")),
    path("version", lambda request: JsonResponse({"commit": Path("/app/COMMIT").read_text()})),
]
