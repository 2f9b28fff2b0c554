package main

import (
	"net/http"

	"example.org/shape/internal/web"
)

func main() {
	panic(http.ListenAndServe(":8080", web.Routes()))
}
