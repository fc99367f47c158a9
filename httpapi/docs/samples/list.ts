async function* executions(server, token, filter = {}) {
  for (let cursor; cursor !== null; ) {
    const query = new URLSearchParams({ ...filter, ...(cursor && { cursor }) });
    const answer = await fetch(`${server}/v1/executions?${query}`, { headers: { Authorization: `Bearer ${token}` } });
    const body = await answer.json();
    if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`);
    yield* body.data.executions;
    cursor = body.data.nextCursor;
  }
}
