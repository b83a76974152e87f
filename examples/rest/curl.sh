#!/bin/sh
# Cut one photo with curl, without any JSON: asked for image/png, the service answers with the picture itself.
#
#   examples/rest/curl.sh photo.jpg cutout.png
#   examples/rest/curl.sh photo.jpg mask.png fg-mask
#
# ALPHACUT_URL is where the service is, ALPHACUT_API_KEY the key, if it wants one.
#
# The JSON answer, with jq:
#   curl -sS -F image=@photo.jpg http://127.0.0.1:8080/v1/results | jq -r '.results[0].entities[0].image' | base64 -d > cutout.png
set -eu

photo=$1 output=$2 mode=${3:-fg-image}
url=${ALPHACUT_URL:-http://127.0.0.1:8080}

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# 503 tells in Retry-After when to come back, and curl's --retry waits for just that.
told=$(curl --silent --show-error --output "$answer" --write-out '%{http_code} %{content_type}' \
    --retry 3 --max-time 60 \
    --header 'Accept: image/png' \
    ${ALPHACUT_API_KEY:+--header "X-API-KEY: $ALPHACUT_API_KEY"} \
    --form "image=@$photo" \
    "$url/v1/results?mode=$mode")

# A picture that cannot be cut is a 200, too: the words are in results[0].status.message.
if [ "$told" != '200 image/png' ]; then
    echo "$photo was not cut ($told):" >&2
    cat "$answer" >&2
    exit 1
fi
cp "$answer" "$output"
echo "$output"
