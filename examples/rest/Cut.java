// Cut one photo with Java's own HTTP client (Java 11 or later; nothing to install, nothing to compile):
//
//   java examples/rest/Cut.java photo.jpg cutout.png
//
// ALPHACUT_URL is where the service is, ALPHACUT_API_KEY the key, if it wants one. Asked for image/png, the service answers
// with the picture itself, so a program without a JSON parser can call it, too.

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;

import static java.nio.charset.StandardCharsets.UTF_8;

public final class Cut {
    public static void main(String[] arguments) throws IOException, InterruptedException {
        Path photo = Path.of(arguments[0]);
        HttpResponse<byte[]> answer = send(photo);

        boolean isPicture = answer.statusCode() == 200
            && answer.headers().firstValue("Content-Type").equals(Optional.of("image/png"));
        if (!isPicture) {
            // What could not be cut is a 200 whose JSON holds "code":"failure" and the reason.
            System.err.println(photo + ": HTTP " + answer.statusCode() + ": " + new String(answer.body(), UTF_8));
            System.exit(1);
        }
        Files.write(Path.of(arguments[1]), answer.body());
        System.out.println(arguments[1]);
    }

    private static HttpResponse<byte[]> send(Path photo) throws IOException, InterruptedException {
        String url = Optional.ofNullable(System.getenv("ALPHACUT_URL")).orElse("http://127.0.0.1:8080");
        String boundary = UUID.randomUUID().toString();
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + "/v1/results"))
            .header("Accept", "image/png")
            .header("Content-Type", "multipart/form-data; boundary=" + boundary)
            .timeout(Duration.ofSeconds(60))
            .POST(HttpRequest.BodyPublishers.ofByteArray(form(photo, boundary)));
        Optional.ofNullable(System.getenv("ALPHACUT_API_KEY")).ifPresent(key -> request.header("X-API-KEY", key));
        return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
    }

    private static byte[] form(Path photo, String boundary) throws IOException {
        String head = "--" + boundary + "\r\n"
            + "Content-Disposition: form-data; name=\"image\"; filename=\"" + photo.getFileName() + "\"\r\n\r\n";
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.write(head.getBytes(UTF_8));
        body.write(Files.readAllBytes(photo));
        body.write(("\r\n--" + boundary + "--\r\n").getBytes(UTF_8));
        return body.toByteArray();
    }
}
