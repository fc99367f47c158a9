# in the program that calls StartExecution; the API key needs the scope register
curl --fail-with-body --silent --show-error \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  --json "{\"executionArn\":\"$ARN\",\"owner\":\"ada\"}" \
  "$STATUS_URL/v1/executions"
