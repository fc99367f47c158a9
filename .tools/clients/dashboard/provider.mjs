// An OpenID provider: provider.mjs ISSUER. Its access tokens are JWTs as Cognito makes them,
// and live for a few seconds, so that a page has to refresh them.
import Provider from "oidc-provider";

const issuer = process.argv[2];
const life = 15; // seconds
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "web",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: ["http://127.0.0.1/"],
    },
  ],
  clientBasedCORS: () => true,
  extraTokenClaims: () => ({ token_use: "access" }),
  features: {
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "urn:status",
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: "", audience: "status", accessTokenFormat: "jwt", accessTokenTTL: life, jwt: { sign: { alg: "RS256" } } }),
    },
  },
});
provider.Client.prototype.redirectUriAllowed = (uri) => new URL(uri).hostname === "127.0.0.1"; // the port is not known before
provider.listen(Number(new URL(issuer).port), "127.0.0.1", () => console.log("ready"));
