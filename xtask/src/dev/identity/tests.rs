//! The provider over real HTTP.

use super::*;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

const LIFETIME: i64 = 3600;

struct Provider {
    url: String,
    anon_key: String,
    client: Client,
    _dir: tempfile::TempDir,
}

impl Provider {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Project)) -> Self {
        crate::dev::install_tls();
        let dir = tempfile::tempdir().unwrap();
        let mut identity = Identity::bind(dir.path(), Some(0), LIFETIME).await.unwrap();
        change(&mut identity.project);
        let (url, anon_key) = (identity.url().to_owned(), identity.anon_key().to_owned());
        tokio::spawn(identity.serve());
        Self {
            url,
            anon_key,
            client: Client::new(),
            _dir: dir,
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/auth/v1{path}", self.url)
    }

    async fn grant(&self, grant_type: &str, body: &Value) -> Response {
        let request = self
            .client
            .post(self.at(&format!("/token?grant_type={grant_type}")));
        request
            .header("apikey", &self.anon_key)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    async fn sign_in(&self) -> Value {
        let body = json!({ "email": "dev-1@moltworker.test", "password": "dev-1-password" });
        let answer = self.grant("password", &body).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    async fn get(&self, path: &str, bearer: &Value) -> Response {
        let request = self.client.get(self.at(path)).header("apikey", &self.anon_key);
        request
            .bearer_auth(bearer.as_str().unwrap())
            .send()
            .await
            .unwrap()
    }
}

async fn json_of(response: Response) -> Value {
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_password_gets_a_session_in_the_real_shape() {
    let provider = Provider::start().await;
    let answer = provider.sign_in().await;
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["expires_in"], 3600);
    let user = &answer["user"];
    assert_eq!(user["id"], "de000000-0000-4000-8000-000000000001");
    assert_eq!(user["aud"], "authenticated");
    assert_eq!(user["role"], "authenticated");
    assert_eq!(user["email"], "dev-1@moltworker.test");
    assert_eq!(user["identities"][0]["provider"], "email");
    assert_eq!(user["created_at"], "2025-01-01T00:00:00.000000Z");

    let token = answer["access_token"].as_str().unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.alg, jsonwebtoken::Algorithm::ES256);
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token)
        .unwrap()
        .claims;
    assert_eq!(claims["iss"], provider.at(""));
    assert_eq!(claims["exp"], answer["expires_at"]);
    assert_eq!(claims["sub"], user["id"]);

    let me = provider.get("/user", &answer["access_token"]).await;
    assert_eq!(me.status(), StatusCode::OK);
    assert_eq!(json_of(me).await["id"], user["id"]);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_look_the_same() {
    let provider = Provider::start().await;
    for email in ["dev-1@moltworker.test", "nobody@moltworker.test"] {
        let refused = provider
            .grant("password", &json!({ "email": email, "password": "x" }))
            .await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert_eq!(refused.headers()["x-sb-error-code"], "invalid_credentials");
        let expected =
            json!({ "code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials" });
        assert_eq!(json_of(refused).await, expected);
    }
}

#[tokio::test]
async fn each_invalid_grant_has_its_own_message() {
    let provider = Provider::start().await;
    for (grant_type, body, code) in [
        ("password", json!({}), "validation_failed"),
        (
            "password",
            json!({ "phone": "1", "password": "x" }),
            "phone_provider_disabled",
        ),
        ("password", json!({ "email": 7 }), "bad_json"),
        (
            "refresh_token",
            json!({ "refresh_token": "made-up" }),
            "refresh_token_not_found",
        ),
        ("client_credentials", json!({}), "invalid_credentials"),
    ] {
        let refused = json_of(provider.grant(grant_type, &body).await).await;
        assert_eq!(refused["error_code"], code, "{grant_type} {body}");
    }
    let oauth = json_of(provider.grant("refresh_token", &json!({})).await).await;
    assert_eq!(
        oauth,
        json!({ "error": "invalid_request", "error_description": "refresh_token required" })
    );
}

#[tokio::test]
async fn newer_clients_get_errors_in_the_newer_shape() {
    let provider = Provider::start().await;
    let request = provider.client.post(provider.at("/token?grant_type=password"));
    let request = request
        .header("apikey", &provider.anon_key)
        .header("x-supabase-api-version", "2024-01-01");
    let refused = request
        .json(&json!({ "email": "a@b.test", "password": "x" }))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.headers()["x-supabase-api-version"], "2024-01-01");
    let expected = json!({ "code": "invalid_credentials", "message": "Invalid login credentials" });
    assert_eq!(json_of(refused).await, expected);
}

#[tokio::test]
async fn only_the_key_set_is_open_to_callers_without_the_public_key() {
    let provider = Provider::start().await;
    let open = provider
        .client
        .get(provider.at("/.well-known/jwks.json"))
        .send()
        .await
        .unwrap();
    assert_eq!(open.headers()["cache-control"], "public, max-age=600");
    let algorithms: Vec<_> = json_of(open).await["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["alg"].clone())
        .collect();
    assert_eq!(algorithms, ["ES256", "RS256"]);

    let without = provider
        .client
        .get(provider.at("/settings"))
        .send()
        .await
        .unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(json_of(without).await["message"], "No API key found in request");
    let wrong = provider
        .client
        .get(provider.at("/settings?apikey=x"))
        .send()
        .await
        .unwrap();
    assert_eq!(json_of(wrong).await["message"], "Invalid API key");
    let in_query = provider.at(&format!("/settings?apikey={}", provider.anon_key));
    let settings = json_of(provider.client.get(in_query).send().await.unwrap()).await;
    assert_eq!(
        (&settings["external"]["email"], &settings["disable_signup"]),
        (&json!(true), &json!(true))
    );
    let health = provider
        .client
        .get(provider.at("/health"))
        .header("apikey", &provider.anon_key);
    assert_eq!(json_of(health.send().await.unwrap()).await["name"], "GoTrue");
}

#[tokio::test]
async fn a_session_is_renewed_and_ends_with_signing_out() {
    let provider = Provider::start().await;
    let first = provider.sign_in().await;
    let renewed = provider
        .grant(
            "refresh_token",
            &json!({ "refresh_token": first["refresh_token"] }),
        )
        .await;
    let renewed = json_of(renewed).await;
    assert_ne!(renewed["refresh_token"], first["refresh_token"]);
    assert_eq!(renewed["user"]["id"], first["user"]["id"]);
    let session = |answer: &Value| {
        let token = answer["access_token"].as_str().unwrap();
        jsonwebtoken::dangerous::insecure_decode::<Value>(token)
            .unwrap()
            .claims["session_id"]
            .clone()
    };
    assert_eq!(session(&first), session(&renewed));

    let request = provider
        .client
        .post(provider.at("/logout"))
        .header("apikey", &provider.anon_key);
    let signed_out = request
        .bearer_auth(renewed["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(signed_out.status(), StatusCode::NO_CONTENT);
    let late = provider
        .grant(
            "refresh_token",
            &json!({ "refresh_token": renewed["refresh_token"] }),
        )
        .await;
    assert_eq!(json_of(late).await["error_code"], "refresh_token_not_found");
    let me = provider.get("/user", &renewed["access_token"]).await;
    assert_eq!(me.status(), StatusCode::FORBIDDEN);
    assert_eq!(json_of(me).await["error_code"], "session_not_found");
}

#[tokio::test]
async fn an_unauthenticated_request_is_refused() {
    let provider = Provider::start().await;
    let without = provider
        .client
        .get(provider.at("/user"))
        .header("apikey", &provider.anon_key);
    let without = without.send().await.unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(json_of(without).await["error_code"], "no_authorization");
    for bearer in [json!("nonsense"), json!(provider.anon_key)] {
        let refused = provider.get("/user", &bearer).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(json_of(refused).await["error_code"], "bad_jwt");
    }
}

#[tokio::test]
async fn redirects_lead_to_this_machine_or_the_configured_host() {
    let provider = Provider::start_with(|project| project.redirect_host = Some("bots.example".into())).await;
    let challenge = "c".repeat(43);
    for (host, status) in [
        ("localhost", StatusCode::OK),
        ("bots.example", StatusCode::OK),
        ("other.example", StatusCode::BAD_REQUEST),
    ] {
        let query = format!("provider=github&code_challenge={challenge}&code_challenge_method=s256");
        let url = provider.at(&format!("/authorize?{query}&redirect_to=https://{host}/"));
        assert_eq!(
            provider.client.get(url).send().await.unwrap().status(),
            status,
            "{host}"
        );
    }
}

#[tokio::test]
async fn test_control_injects_faults_changes_tokens_and_records_calls() {
    let provider = Provider::start_with(|project| project.test_control = Some(Arc::default())).await;
    let control = format!("{}/test-control", provider.url);
    let set = async |overrides: Value| {
        let answer = provider
            .client
            .put(&control)
            .json(&overrides)
            .send()
            .await
            .unwrap();
        answer.status()
    };
    let key_set = provider.at("/.well-known/jwks.json");
    let keys = async || provider.client.get(&key_set).send().await.unwrap();

    assert!(set(json!({ "key_set": [] })).await.is_success());
    assert_eq!(json_of(keys().await).await, json!({ "keys": [] }));
    assert!(set(json!({ "down": true })).await.is_success());
    assert_eq!(keys().await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let refused = set(json!({ "donw": true })).await;
    assert!(refused.is_client_error(), "an unknown override is {refused}");

    set(json!({ "answers": { "/token?grant_type=password": 429 } })).await;
    let answer = provider.grant("password", &json!({})).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    set(json!({ "token_lifetime": -10, "claims": { "aud": "other" } })).await;
    let session = provider.sign_in().await;
    let token = session["access_token"].as_str().unwrap();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token)
        .unwrap()
        .claims;
    assert_eq!(claims["aud"], "other");
    assert_eq!(
        claims["exp"].as_i64().unwrap() + 10,
        claims["iat"].as_i64().unwrap()
    );

    set(json!({ "hold": true })).await;
    let held = keys();
    tokio::pin!(held);
    let soon = std::time::Duration::from_millis(100);
    assert!(tokio::time::timeout(soon, &mut held).await.is_err(), "it waits");
    set(json!({})).await;
    assert_eq!(held.await.status(), StatusCode::OK);

    let told = json_of(provider.client.get(&control).send().await.unwrap()).await;
    let calls = told["calls"].as_array().unwrap();
    let paths: Vec<_> = calls.iter().map(|call| call["path"].as_str().unwrap()).collect();
    let (jwks, password) = ("/.well-known/jwks.json", "/token?grant_type=password");
    assert_eq!(paths, [jwks, jwks, password, password, jwks]);
    assert_eq!(calls[3]["apikey"], provider.anon_key);
    assert_eq!(calls[3]["body"]["email"], "dev-1@moltworker.test");
}

#[tokio::test]
async fn test_control_is_absent_without_its_flag() {
    let provider = Provider::start().await;
    let control = format!("{}/test-control", provider.url);
    for request in [provider.client.get(&control), provider.client.put(&control)] {
        let answer = request.json(&json!({})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn an_occupied_port_is_reported_and_the_issuer_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::bind(dir.path(), Some(0), LIFETIME).await.unwrap();
    let port = identity.listener.local_addr().unwrap().port();
    assert_eq!(
        issuer::last(dir.path()).unwrap(),
        format!("http://127.0.0.1:{port}/auth/v1")
    );
    let Err(error) = Identity::bind(dir.path(), Some(port), LIFETIME).await else {
        panic!("two have one port")
    };
    assert!(
        error.to_string().contains(&format!("port {port} is taken")),
        "{error}"
    );
}
