require "json"

run(lambda do |env|
  if env["PATH_INFO"] == "/version"
    [200, { "Content-Type" => "application/json" }, [{ commit: File.read("/app/COMMIT") }.to_json]]
  else
    [200, { "Content-Type" => "text/html" }, ["<p>hello from Rack</p>"]]
  end
end)
