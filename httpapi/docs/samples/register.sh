# with a key of scope register, where StartExecution is called
curl --fail-with-body --silent --show-error \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  --json "{\"executionArn\":\"$ARN\",\"owner\":\"ada\"}" \
  "$STATUS_URL/v1/executions"
