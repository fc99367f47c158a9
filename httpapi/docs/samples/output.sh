# fetch an expired output again, and wait up to 20 seconds for it
curl --fail-with-body --silent --show-error --request POST \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  "$STATUS_URL/v1/executions/$ARN/output?wait=20"
