require "json"
require "sinatra"

get("/") { "<p>hello from Sinatra</p>" }

get "/version" do
  content_type :json
  { commit: File.read("/app/COMMIT") }.to_json
end
