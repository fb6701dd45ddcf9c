//! Signatures are checked with another library's verifier and our own reading of RFC 6376.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::SignatureVerificationAlgorithm;
use sha2::{Digest, Sha256};

use super::*;

const ED25519_PEM: &str =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPFVmXELt7dlepyhpgnpoum6FDQeUoYKOM6W463LIN+J\n-----END PRIVATE KEY-----\n";
const ED25519_SEED: &str = "8VWZcQu3t2V6nKGmCemi6boUNB5Shgo4zpbjrcsg34k=";
const ED25519_PUBLIC: &str = "tygDd8aW4aPZ7PZryeOTsA3hXmIyU1kcQbjMvg0YaZI=";

/// A key made for this test alone (`openssl genrsa 2048`), without its PEM frame.
const RSA_PKCS8: &str = "\
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCl9hAxVZQU4h2TCoSL2THGJ7YLLR1nY0T7KIOoFiDYO9TJK+1dvV4aE/7e3Z\
bPVl2j97x+Fcp4hNV/8jUYQQJI0tDJrR7C8ghV/BREzNLbhnTdoDjPfjKkFZ1ZhUn5KNmn/Q87en0jRH1ONCr6zQkGp9Pr/wUOTVxTs3OMxQzD\
Tj534mpNohHWgVj6UKhTPHM/t6bU9WJZCMRGeAsGckWpwGhJWgUWjbRK/8WxKMFU2eS77SMq5eAD47mjINZHlK32G+XOtK7O2XeYOcyyb2saXI\
raSpgJ0C6WhW2dNHgAiCXTh7i86xOefUG2IQYR99XlXReLQs54h0/X/acjvkVNAgMBAAECggEAAo/Yz+4mg7on/qV8PWRHrqumnqeeYh4DXHvl\
zT/GfBgK7C45YNoId/PNkU4Yvkb76//g6jKkj1ESe6at16T4Z7x0hbfniXuBNoJNNfDSNb73yYNVxSw3AkTJ3STf2LVV1WKSIyk8OF1CecnTTQ\
ZU5AQ7kwE6+n/vSncOT3mZqzrXxW4ELKKX3OpMcgzeq3S76jw5PmW5mnxZnzQsARETh5hkEUM/N/zn/204HtGOc0C86M0jn5wc4z/QGaCa81GL\
9Lftvc/7Coo0SaMpZwMMTWaXjBTnbW1dTV3BeiSw+X0dt7fC1+U8vEQkGduZgO90thW+bnhTf3rE8KZv0UA98QKBgQDgweZW7o0DqyqpU6So4M\
0aoHV68eJXGUno7MO/4KyDRSU5YB0OzMq2bpp1L4wLR2lfbH7xph6ZY8iMelOqICx0/co9/Zfq6y+VOfzLgKBoSIDFjUY2TxV5OEYU4olDm7Wt\
4FpeRfR1D87v02/Hrf0VK5FL9RiGKegdy8FVSCdLfQKBgQC9B98OwE0dQmyZyGjioov9r/g00kgskgrC2HyZIifA8JQAqhigsxZKzT1P/ZrDa/\
eo6pkO8TGJiVOZK5+T3gr8xxOkgJ1yytSJ8SJzt3cI2gAvqYkQt2k7tnR9T4ZiSPI6SQA5P8UpQtytwlecTCY4qu6YAr8d9lT7vGB+zErqEQKB\
gGfOhpFuGmkwXELao/lv4qtCoyAGqfBqeK2A9SQhI+x5OikW0DTut02tJd+r9zWaZPuyw6ree9GCubTQJuYzd/UM5qTdBJZ2y4JTxwNCxFOF8R\
vNFTmuKw/SwuOQga9dMns9XN+f1blfdMdl04HZRUPK3I/Fgu8sWc2xNvkpmySNAoGAYCtnAhw3n1Ex6zMYmWTVD+W8wzLQYUyTiPmWulm0G+bJ\
hWUETo2OI9QzA0UkvZNqVle0MvPmnfBtxZl6AEKRGHU3uxNsBwDGDL/PJUwLlUdDnPwFramCMkzrCu2wksRF5/1HzdhxuEI5/3TGGdBsCZx88n\
1DOj0ek0wNU7Ufz+ECgYA0paFGhK3tCQq6ZUvqj9sv+BYsLGSKONlWB4CXJWQCVT7myzIjvNALlTyM45d7foaAJpnPy3qFT5c3U1h2tn6bS3pA\
Y3dPoXQd/fddJdPT5AF1ARwBIFyvwDqPlWUEGMOoDTeM8g3Kv8X8aob/423d7bsGDtDluiPkrY2ncsiAZQ==";

/// Its public half, `RSAPublicKey` in DER.
const RSA_PUBLIC: &str = "\
MIIBCgKCAQEApfYQMVWUFOIdkwqEi9kxxie2Cy0dZ2NE+yiDqBYg2DvUySvtXb1eGhP+3t2Wz1Zdo/e8fhXKeITVf/I1GEECSNLQya0ewvIIVf\
wURMzS24Z03aA4z34ypBWdWYVJ+SjZp/0PO3p9I0R9TjQq+s0JBqfT6/8FDk1cU7NzjMUMw04+d+JqTaIR1oFY+lCoUzxzP7em1PViWQjERngL\
BnJFqcBoSVoFFo20Sv/FsSjBVNnku+0jKuXgA+O5oyDWR5St9hvlzrSuztl3mDnMsm9rGlyK2kqYCdAuloVtnTR4AIgl04e4vOsTnn1BtiEGEf\
fV5V0Xi0LOeIdP1/2nI75FTQIDAQAB";

fn message(subject: &str) -> Message {
    Message::builder()
        .from("w@example.com".parse().unwrap())
        .to("Ops <ops@example.org>".parse().unwrap())
        .subject(subject)
        .message_id(Some("<1@example.com>".into()))
        .singlepart(lettre::message::SinglePart::plain("disk  is full \r\n\r\nrunbook\r\n\r\n".to_owned()))
        .unwrap()
}

fn squeeze(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// RFC 6376, sections 3.4.2, 3.4.4 and 3.7, for a mail with one signature on top of unique headers.
fn verify(mail: &str, algorithm: &str, public: &[u8], verifier: &dyn SignatureVerificationAlgorithm) {
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let headers: Vec<(String, String)> =
        unfolded.split("\r\n").map(|line| line.split_once(':').unwrap()).map(|(name, value)| (name.to_lowercase(), squeeze(value))).collect();
    let find = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let signature = find("dkim-signature").unwrap();
    let tag = |name: &str| {
        let found = signature.split(';').find_map(|t| t.trim().strip_prefix(&format!("{name}="))).unwrap();
        found.replace(' ', "")
    };
    assert_eq!((tag("a").as_str(), tag("d").as_str(), tag("s").as_str(), tag("c").as_str()), (algorithm, "example.com", "s1", "relaxed/relaxed"));

    let lines: Vec<String> = body
        .split("\r\n")
        .map(|line| {
            let squeezed = squeeze(line);
            if line.starts_with([' ', '\t']) { format!(" {squeezed}") } else { squeezed }
        })
        .collect();
    let relaxed = format!("{}\r\n", lines.join("\r\n").trim_end_matches("\r\n"));
    assert_eq!(tag("bh"), STANDARD.encode(Sha256::digest(relaxed.as_bytes())), "body hash");

    let signed = tag("h");
    let mut data = String::new();
    for name in signed.split(':') {
        if let Some(value) = find(name) {
            data.push_str(&format!("{name}:{value}\r\n"));
        }
    }
    let unsigned = &signature[..signature.rfind("b=").unwrap() + 2];
    data.push_str(&format!("dkim-signature:{unsigned}"));
    let bytes = STANDARD.decode(tag("b")).unwrap();
    let signed_bytes: Vec<u8> = if algorithm.starts_with("ed25519") { Sha256::digest(data.as_bytes()).to_vec() } else { data.into_bytes() };
    verifier.verify_signature(public, &signed_bytes, &bytes).expect("the signature holds");
    for name in ["from", "subject", "to", "date", "message-id"] {
        assert!(signed.split(':').any(|n| n == name), "{name} is not signed");
    }
    assert!(!signed.contains("content-type"));
}

/// The ring verifier for a signature scheme.
fn verifier(scheme: rustls::SignatureScheme) -> &'static dyn SignatureVerificationAlgorithm {
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    algorithms.mapping.iter().find(|(s, _)| *s == scheme).unwrap().1[0]
}

fn sign(key: &str, subject: &str) -> String {
    let mut message = message(subject);
    Signer::new("s1", "example.com", &Secret::new(key)).unwrap().sign(&mut message);
    String::from_utf8(message.formatted()).unwrap()
}

#[test]
fn ed25519_from_pem_and_from_seed() {
    let public = STANDARD.decode(ED25519_PUBLIC).unwrap();
    for key in [ED25519_PEM, ED25519_SEED] {
        verify(&sign(key, "Disk full"), "ed25519-sha256", &public, verifier(rustls::SignatureScheme::ED25519));
    }
}

#[test]
fn rsa_from_both_kinds_of_pem_and_under_long_headers() {
    let public = STANDARD.decode(RSA_PUBLIC).unwrap();
    let der = STANDARD.decode(RSA_PKCS8).unwrap();
    for (key, subject) in
        [(pem("PRIVATE KEY", &der), "Disk full".to_owned()), (pem("RSA PRIVATE KEY", rsa_inside_pkcs8(&der).unwrap()), "磁盘 已满 ".repeat(2000))]
    {
        verify(&sign(&key, &subject), "rsa-sha256", &public, verifier(rustls::SignatureScheme::RSA_PKCS1_SHA256));
    }
}

#[test]
fn keys_that_cannot_sign() {
    let garbled = pem("PRIVATE KEY", &[0x30, 0x83, 0xff, 0xff, 0xff, 2, 1, 0]);
    let elliptic = pem("PRIVATE KEY", &[0x30, 0x0f, 2, 1, 0, 0x30, 0x06, 6, 2, 0x2a, 3, 5, 0, 4, 2, 1, 1]);
    for (key, words) in [
        ("hunter22", "not a private key"),
        ("", "not a private key"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----", "passphrase"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----", "cannot be read"),
        ("-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----", "not a private key"),
        (garbled.as_str(), "neither an RSA"),
        (elliptic.as_str(), "neither an RSA"),
    ] {
        let error = Signer::new("s1", "example.com", &Secret::new(key)).unwrap_err();
        assert!(error.contains(words), "{key}: {error}");
    }
    let signer = Signer::new("s1", "example.com", &Secret::new(ED25519_SEED)).unwrap();
    assert!(!format!("{signer:?}").contains("8VWZ"));
}
