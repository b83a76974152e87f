#!/usr/bin/env php
<?php
// Cut one photo with PHP's curl extension.
//
//   php examples/rest/php_curl.php photo.jpg cutout.png
//   php examples/rest/php_curl.php photo.jpg shadow.png fg-image-shadow
//
// ALPHACUT_URL is where the service is, ALPHACUT_API_KEY the key, if it wants one.
declare(strict_types=1);

function cut(string $url, string $photo, string $mode): array
{
    $key = getenv('ALPHACUT_API_KEY');
    $request = curl_init("$url/v1/results?" . http_build_query(['mode' => $mode]));
    curl_setopt_array($request, [
        CURLOPT_POSTFIELDS => ['image' => new CURLFile($photo, null, basename($photo))],
        CURLOPT_HTTPHEADER => $key ? ["X-API-KEY: $key"] : [],
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 60,
    ]);
    $answer = curl_exec($request);
    if ($answer === false) {
        throw new RuntimeException(curl_error($request));
    }
    $code = curl_getinfo($request, CURLINFO_RESPONSE_CODE);
    if ($code !== 200) {
        throw new RuntimeException("HTTP $code: $answer");
    }
    $result = json_decode($answer, true, flags: JSON_THROW_ON_ERROR)['results'][0];
    if ($result['status']['code'] === 'failure') {
        throw new RuntimeException($result['status']['message']);
    }
    return $result;
}

[, $photo, $output] = $argv;
try {
    $result = cut(getenv('ALPHACUT_URL') ?: 'http://127.0.0.1:8080', $photo, $argv[3] ?? 'fg-image');
} catch (RuntimeException | JsonException $error) {
    fwrite(STDERR, "$photo: {$error->getMessage()}\n");
    exit(1);
}
file_put_contents($output, base64_decode($result['entities'][0]['image']));
echo "{$result['name']}: {$result['width']}x{$result['height']} px into $output\n";
