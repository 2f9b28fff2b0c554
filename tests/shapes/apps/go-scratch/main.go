package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

func main() {
	commit, err := os.ReadFile("/app/COMMIT")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"commit": string(commit)})
	})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<p>hello from Go</p>") })
	panic(http.ListenAndServe(":8080", nil))
}
