curl --fail-with-body --silent --show-error \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  --json "{\"executionArns\":[\"$ARN\"]}" \
  "$STATUS_URL/v1/status"
