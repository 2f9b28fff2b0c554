package web

import (
	"encoding/json"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"
)

// Routes of the app.
func Routes() http.Handler {
	commit, err := os.ReadFile("/app/COMMIT")
	if err != nil {
		panic(err)
	}
	routes := chi.NewRouter()
	routes.Get("/", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<p>hello from chi</p>")) })
	routes.Get("/version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"commit": string(commit)})
	})
	return routes
}
