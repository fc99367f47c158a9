# wait up to 20 seconds for the end; repeat this while the status is RUNNING
curl --fail-with-body --silent --show-error \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  "$STATUS_URL/v1/status/$ARN?wait=20"
