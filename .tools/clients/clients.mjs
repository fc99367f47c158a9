// Reads an execution with libraries that send an Accept of their own, and by one that
// was made from the OpenAPI document. Each must get JSON: prints NAME STATUS a line.
import axios from "axios";
import createClient from "openapi-fetch";
import SwaggerClient from "swagger-client";
import { fetch as undici } from "undici";

const { STATUS_URL: baseUrl, STATUS_TOKEN: token, ARN: arn } = process.env;
const url = `${baseUrl}/v1/status/${encodeURIComponent(arn)}`;
const headers = { Authorization: `Bearer ${token}` };
const both = { ...headers, Accept: "application/json, text/event-stream" };
console.log("axios", (await axios.get(url, { headers })).data.data.status);
console.log("undici", (await (await undici(url, { headers: both })).json()).data.status);
const api = createClient({ baseUrl, headers });
const { data } = await api.GET("/v1/status/{executionArn}", { params: { path: { executionArn: arn }, query: { wait: 0 } } });
console.log("openapi-fetch", data.data.status);
const { apis } = await SwaggerClient(`${baseUrl}/openapi.json`, { authorizations: { token } });
const one = await apis.executions.getStatus({ executionArn: arn, wait: 0 });
console.log("swagger-client", one.obj.data.status);
const many = await apis.executions.getStatuses({}, { requestBody: { executionArns: [arn] } });
console.log("swagger-client", many.obj.data.results[0].status);
