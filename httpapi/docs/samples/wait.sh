# one request for many executions; repeat it while done is false
curl --fail-with-body --silent --show-error \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  --json "{\"executionArns\":[\"$ARN\"],\"for\":\"firstFailure\"}" \
  "$STATUS_URL/v1/wait?wait=20"
