# an address that anybody can open for ten minutes, without a token
curl --fail-with-body --silent --show-error \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  --json "{\"executionArn\":\"$ARN\",\"expiresIn\":\"10m\"}" \
  "$STATUS_URL/v1/links"
