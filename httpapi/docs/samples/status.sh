# wait up to 20 seconds for the end; ask again until it is there
curl --fail-with-body --silent --show-error \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  "$STATUS_URL/v1/status/$ARN?wait=20"
