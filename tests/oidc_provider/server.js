// Runs a real OpenID Connect provider as strict as ProConnect: client secret in the body, ES256, signed userinfo, acr.
// The person is the login_hint of the request, or else who the browser names in a form; `refuse` cancels.
import { Provider } from "oidc-provider";
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";

const [port, redirectUri, logoutUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const key = { ...generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }), kid: "k1", use: "sig", alg: "ES256" };
const people = {
  camille: { given_name: "Camille", usual_name: "Exemple", email: "camille@town.example", groups: ["voirie"] },
  "camille-again": { given_name: "Camille", usual_name: "Exemple", email: "camille@town.example", groups: [] },
  stranger: { given_name: "Sacha", usual_name: "Exemple", email: "sacha@elsewhere.example", groups: [] },
};
const provider = new Provider(issuer, {
  clients: [{
    client_id: "desk", client_secret: "a secret for tests only", redirect_uris: [redirectUri], post_logout_redirect_uris: [logoutUri],
    token_endpoint_auth_method: "client_secret_post", id_token_signed_response_alg: "ES256", userinfo_signed_response_alg: "ES256",
  }],
  jwks: { keys: [key] },
  cookies: { keys: ["a key for tests only"] },
  pkce: { required: () => true },
  acrValues: ["eidas1", "eidas2"],
  claims: { openid: ["sub", "groups"], profile: ["given_name", "usual_name"], email: ["email"], acr: null },
  features: { devInteractions: { enabled: false }, jwtUserinfo: { enabled: true }, claimsParameter: { enabled: true },
    rpInitiatedLogout: { enabled: true, logoutSource: (ctx, form) => { ctx.body = form; } } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: "desk", accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope("openid profile email");
    grant.addOIDCClaims(["acr"]);
    await grant.save();
    return grant;
  },
});
const answer = provider.callback();
createServer(async (request, response) => {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  const { params } = await provider.interactionDetails(request, response);
  const who = params.login_hint ?? new URL(request.url, issuer).searchParams.get("who");
  if (!who) {
    response.setHeader("content-type", "text/html");
    return response.end('<title>Identity</title><form><label>Who are you? <input name="who"></label><button>Log in</button></form>');
  }
  const result = who === "refuse" ? { error: "access_denied" } : { login: { accountId: who, acr: "eidas2", amr: ["mfa"] } };
  return provider.interactionFinished(request, response, result);
}).listen(port, "127.0.0.1", () => console.log("ready"));
