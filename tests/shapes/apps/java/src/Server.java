import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;

public class Server {
    public static void main(String[] args) throws Exception {
        String commit = Files.readString(Path.of("/app/COMMIT"));
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {
            boolean isVersion = exchange.getRequestURI().getPath().equals("/version");
            byte[] body = (isVersion ? "{\"commit\":\"" + commit + "\"}" : "<p>hello from Java</p>").getBytes();
            exchange.getResponseHeaders().set("Content-Type", isVersion ? "application/json" : "text/html");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
