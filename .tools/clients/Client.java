import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.cert.X509Certificate;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

import static java.nio.charset.StandardCharsets.UTF_8;

/**
 * Reads an execution with Java's HttpClient and its defaults, which request HTTP/2 by
 * an Upgrade where there is no TLS: as JSON, as a stream, and with bad headers. Prints
 * the protocol and what came.
 */
public class Client {
    public static void main(String[] args) throws Exception {
        var out = new PrintStream(System.out, true, UTF_8);
        var env = System.getenv();
        var tls = SSLContext.getInstance("TLS");
        tls.init(null, new TrustManager[] {new Anybody()}, null);
        var client = HttpClient.newBuilder().sslContext(tls).connectTimeout(Duration.ofSeconds(60)).build();
        var url = URI.create(env.get("STATUS_URL") + "/v1/status/" + URLEncoder.encode(env.get("ARN"), UTF_8));
        var request = HttpRequest.newBuilder(url).header("Authorization", "Bearer " + env.get("STATUS_TOKEN"));

        var both = request.copy().header("Accept", "application/json, text/event-stream").build();
        connect(client, request.copy().method("HEAD", BodyPublishers.noBody()).build());
        for (int i = 0; i < 2; i++) { // on the same connection
            var json = client.send(both, BodyHandlers.ofString());
            out.println(json.version() + " " + json.statusCode() + " " + json.body());
        }
        var stream = client.send(request.copy().header("Accept", "text/event-stream").build(), BodyHandlers.ofLines());
        stream.body().filter(line -> line.startsWith("data: ")).forEach(out::println);

        var large = client.send(request.copy().header("X-Large", "x".repeat(40_000)).build(), BodyHandlers.ofString());
        out.println(large.statusCode() + " " + large.body());
    }

    /**
     * Makes a connection. The server waits five seconds for a handshake, and the first one of a
     * JVM, which loads the classes for it, can take longer on a busy machine.
     */
    private static void connect(HttpClient client, HttpRequest request) throws Exception {
        for (int tries = 20;; tries--) {
            try {
                client.send(request, BodyHandlers.discarding());
                return;
            } catch (IOException e) {
                if (tries == 0) throw e;
            }
        }
    }

    /** The certificate of a test is signed by nobody. */
    private static class Anybody implements X509TrustManager {
        public void checkClientTrusted(X509Certificate[] chain, String type) {}

        public void checkServerTrusted(X509Certificate[] chain, String type) {}

        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
