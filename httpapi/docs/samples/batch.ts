async function statuses(server, token, executionArns) {
  const answer = await fetch(`${server}/v1/status`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ executionArns }),
  });
  const body = await answer.json();
  if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`);
  return body.data.results;
}
