# the current state, then each newer one, then the end
curl --no-buffer --silent --show-error \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  --header "Accept: text/event-stream" \
  "$STATUS_URL/v1/status/$ARN"
