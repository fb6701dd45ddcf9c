//! Who is admitted, and who is not.

use axum::http::HeaderValue;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::signature::hex;
use super::*;
use crate::config::{Password, PasswordHash};
use crate::model::Secret;

fn auth(kind: CredentialKind) -> Auth {
    Auth { credentials: vec![Credential { name: "one".into(), kind, scopes: vec![], channels: vec![] }], ..Auth::default() }
}

/// The signatures of a body, as they are when all of it was read.
fn of(auth: &Auth, headers: &HeaderMap, body: &[u8]) -> Signatures {
    let mut signing = auth.signed(headers);
    body.chunks(1).for_each(|piece| signing.update(piece));
    signing.end()
}

fn header(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_str(value).unwrap());
    headers
}

#[tokio::test]
async fn bearer_and_basic() {
    let bearer = auth(CredentialKind::Bearer(Secret::new("t0ken")));
    assert_eq!(bearer.admit(Scope::Webhook, &header("authorization", "bearer t0ken"), None, None, 0).await.unwrap().name, "one");
    assert!(bearer.admit(Scope::Webhook, &header("authorization", "Bearer t0keN"), None, None, 0).await.is_err());
    assert!(bearer.admit(Scope::Webhook, &HeaderMap::new(), None, None, 0).await.is_err());
    let hash = PasswordHash::create("pw", b"salt of the test", argon2::Params::new(8, 1, 1, None).unwrap()).unwrap();
    for password in [Password::Plain(Secret::new("pw")), Password::Hashed(PasswordHash::parse(&hash).unwrap())] {
        let basic = auth(CredentialKind::Basic { username: "grafana".into(), password });
        let given = |text: &str| header("authorization", &format!("Basic {}", STANDARD.encode(text)));
        assert!(basic.admit(Scope::Webhook, &given("grafana:pw"), None, None, 0).await.is_ok());
        assert!(basic.admit(Scope::Webhook, &given("grafana:no"), None, None, 0).await.is_err());
        assert!(basic.admit(Scope::Webhook, &given("nobody:pw"), None, None, 0).await.is_err());
    }
}

#[tokio::test]
async fn grafana_signatures_with_rotation_and_a_window() {
    let secrets = vec![Secret::new("old"), Secret::new("new")];
    let kind = |stamp: Option<&str>| CredentialKind::Hmac {
        secrets: secrets.clone(),
        header: "x-grafana-alerting-signature".into(),
        timestamp_header: stamp.map(Into::into),
    };
    let sign = |text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"new").unwrap();
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes())
    };
    let plain = auth(kind(None));
    let headers = header("x-grafana-alerting-signature", &sign("{}"));
    assert_eq!(plain.admit(Scope::Webhook, &headers, None, None, 0).await, Err(Refusal::Unread), "it takes the body to tell");
    for hopeless in [HeaderMap::new(), header("x-grafana-alerting-signature", "00"), header("x-grafana-alerting-signature", &"z".repeat(64))] {
        let told = plain.admit(Scope::Webhook, &hopeless, None, None, 0).await;
        assert!(matches!(told, Err(Refusal::Credentials(_))), "refused before a body is read: {told:?}");
    }
    assert!(plain.admit(Scope::Webhook, &headers, Some(&of(&plain, &headers, b"{}")), None, 0).await.is_ok());
    assert!(plain.admit(Scope::Webhook, &headers, Some(&of(&plain, &headers, b"{ }")), None, 0).await.is_err());
    let signed = Some(of(&plain, &headers, b"{}"));
    assert!(plain.admit(Scope::Webhook, &headers, signed.as_ref(), None, 0).await.unwrap().signed);
    let elsewhere = plain.admit(Scope::Read, &headers, signed.as_ref(), None, 0).await;
    assert!(matches!(&elsewhere, Err(Refusal::NotFor { why, .. }) if why.contains("not the path")), "{elsewhere:?}");
    let stamped = auth(kind(Some("x-stamp")));
    let mut headers = header("x-grafana-alerting-signature", &sign("1000:{}"));
    headers.insert("x-stamp", HeaderValue::from_static("1000"));
    assert!(stamped.admit(Scope::Webhook, &headers, Some(&of(&stamped, &headers, b"{}")), None, 1299).await.is_ok());
    assert!(stamped.admit(Scope::Webhook, &headers, Some(&of(&stamped, &headers, b"{}")), None, 1301).await.is_err());
    assert_eq!(stamped.admit(Scope::Webhook, &headers, None, None, 1299).await, Err(Refusal::Unread));
    assert!(matches!(stamped.admit(Scope::Webhook, &headers, None, None, 1301).await, Err(Refusal::Credentials(_))), "a stale one costs no body");
    headers.remove("x-stamp");
    assert!(stamped.admit(Scope::Webhook, &headers, Some(&of(&stamped, &headers, b"{}")), None, 1000).await.is_err());
}

#[tokio::test]
async fn scopes_and_open_legacy_paths() {
    let mut auth = auth(CredentialKind::Bearer(Secret::new("t0ken")));
    auth.credentials[0].scopes = vec![Scope::Webhook];
    let given = header("authorization", "Bearer t0ken");
    let refused = auth.admit(Scope::Read, &given, None, None, 0).await;
    assert!(matches!(&refused, Err(Refusal::NotFor { who, .. }) if *who == auth.credentials[0].name && !who.is_empty()), "{refused:?}");
    auth.legacy_open = true;
    auth.legacy_allow = vec!["10.0.0.0/8".parse().unwrap()];
    assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), None, "10.1.2.3".parse().ok(), 0).await.is_ok());
    assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), None, "11.1.2.3".parse().ok(), 0).await.is_err());
    assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), None, "::ffff:10.1.2.3".parse().ok(), 0).await.is_ok());
    // The networks hold for who shows a credential, too.
    (auth.legacy_open, auth.credentials[0].scopes) = (false, vec![]);
    assert!(auth.admit(Scope::Legacy, &given, None, "10.1.2.3".parse().ok(), 0).await.is_ok());
    assert_eq!(auth.admit(Scope::Legacy, &given, None, "11.1.2.3".parse().ok(), 0).await, Err(Refusal::not_for("", OUTSIDE)));
    assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), None, "10.1.2.3".parse().ok(), 0).await.is_err());
    assert!(auth.admit(Scope::Webhook, &given, None, "11.1.2.3".parse().ok(), 0).await.is_ok());
}

#[test]
fn a_proxy_names_people_from_its_own_network_only() {
    let auth = auth(CredentialKind::Proxy { header: "x-forwarded-user".into(), from: vec!["10.0.0.0/8".parse().unwrap()] });
    let named = |headers: &HeaderMap, direct: &str| auth.by_proxy(headers, direct.parse().ok()).map(|(name, _)| name);
    let ann = header("x-forwarded-user", " ann ");
    assert_eq!(named(&ann, "10.0.0.7").as_deref(), Some("ann"));
    assert_eq!(named(&ann, "::ffff:10.0.0.7").as_deref(), Some("ann"));
    for (headers, direct) in [(ann.clone(), "192.0.2.1"), (HeaderMap::new(), "10.0.0.7"), (header("x-forwarded-user", ""), "10.0.0.7")] {
        assert_eq!(named(&headers, direct), None, "{direct}");
    }
    let mut two = ann.clone();
    two.append("x-forwarded-user", HeaderValue::from_static("root"));
    assert_eq!(named(&two, "10.0.0.7"), None, "a second header is somebody else's");
}

#[tokio::test]
async fn what_a_proxy_says_opens_no_path_of_the_api() {
    let auth = auth(CredentialKind::Proxy { header: "x-forwarded-user".into(), from: vec!["0.0.0.0/0".parse().unwrap()] });
    let asked = auth.admit(Scope::Read, &header("x-forwarded-user", "ann"), None, "10.0.0.7".parse().ok(), 0).await;
    assert!(matches!(asked, Err(Refusal::Credentials(_))), "{asked:?}");
}

#[test]
fn secrets_by_which_anybody_can_act_are_for_those_who_may_act_everywhere() {
    let caller = |scopes: &[Scope], channels: &[&str]| Caller {
        scopes: scopes.to_vec(),
        channels: channels.iter().map(ToString::to_string).collect(),
        ..Caller::default()
    };
    for (scopes, operates, administers) in
        [(&[][..], true, true), (&[Scope::Admin], true, true), (&[Scope::Read, Scope::Operate], true, false), (&[Scope::Read], false, false)]
    {
        let (all, some) = (caller(scopes, &[]), caller(scopes, &["ops"]));
        assert_eq!((all.may_everywhere(Scope::Operate), all.may_everywhere(Scope::Admin)), (operates, administers), "{scopes:?}");
        assert!(!some.may_everywhere(Scope::Operate) && !some.may_everywhere(Scope::Admin), "{scopes:?}");
    }
}
